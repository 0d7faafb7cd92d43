"""Requests to Airflow that carry a token, and what their answers mean."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final, overload

from ...sink import Hold, Retry
from .answers import Answer, Content, Missing, read_content
from .token import Token

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from .client import Client
    from .settings import AirflowSettings

    Request = Callable[[Client, str], Answer | Retry | Hold]
    T = TypeVar("T")

_LONGEST_PAUSE: Final = 5.0


class Session:
    """One Airflow and the token for it. The client is imported with the first request.

    `pause` waits for so many seconds between two requests of one `read`.
    """

    def __init__(
        self, settings: AirflowSettings, pause: Callable[[float], object] = time.sleep
    ) -> None:
        self._to = settings
        self._pause = pause
        self._opening = threading.Lock()
        self._opened: tuple[Client, Token] | None = None
        self._has_read = False

    def ask(self, request: Request) -> Answer | Retry | Hold:
        """The answer to a request. After a 401 the request is made once more with a new token."""
        opened = self._open()
        if isinstance(opened, Hold):
            return opened
        client, token = opened
        bearer = token.get()
        if not isinstance(bearer, str):
            return bearer
        answer = request(client, bearer)
        if isinstance(answer, Answer) and answer.is_unauthenticated and token.is_renewable:
            bearer = token.renew(bearer)
            if not isinstance(bearer, str):
                return bearer
            answer = request(client, bearer)
        return answer

    @overload
    def read(self, request: Request, *, times: int = 1) -> Content | Missing | Retry | Hold: ...

    @overload
    def read(
        self,
        request: Request,
        understand: Callable[[Answer, AirflowSettings], T],
        *,
        times: int = 1,
    ) -> T | Retry | Hold: ...

    def read(
        self,
        request: Request,
        understand: Callable[[Answer, AirflowSettings], Any] = read_content,
        *,
        times: int = 1,
    ) -> Any:
        """What the answer to a GET means; `understand` is for callers who need other words.

        The request is made up to so many `times`, with pauses of at most 5 s: after a Retry, and
        after a Hold that may pass or that comes after an answer with content.
        """
        for left in reversed(range(times)):
            answer = self.ask(request)
            found = understand(answer, self._to) if isinstance(answer, Answer) else answer
            match found:
                case Retry(_, after) if left:
                    self._pause(min(_LONGEST_PAUSE, max(after or 0.0, times - left)))
                case Hold() if left and (self._has_read or found.may_pass):
                    self._pause(times - left)
                case _:
                    self._has_read |= isinstance(found, Content)
                    return found
        raise ValueError(times)

    @property
    def client(self) -> Client | Hold:
        """For requests that need no token."""
        opened = self._open()
        return opened if isinstance(opened, Hold) else opened[0]

    @property
    def token(self) -> str | Retry | Hold:
        """The token itself, to look into."""
        opened = self._open()
        return opened if isinstance(opened, Hold) else opened[1].get()

    def close(self) -> None:
        if self._opened is not None:
            self._opened[0].close()

    def _open(self) -> tuple[Client, Token] | Hold:
        with self._opening:
            if self._opened is None:
                try:
                    from .client import Client  # noqa: PLC0415 - takes a tenth of a second

                    client = Client(self._to)
                except ImportError as error:
                    return Hold(
                        f"apache-airflow-client cannot be imported ({error}): reinstall dbt-relay, "
                        "preferably in a separate environment"
                    )
                self._opened = client, Token(self._to.login, client.log_in)
            return self._opened
