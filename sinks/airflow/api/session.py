"""Requests that carry a token, and renew it where Airflow no longer accepts it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ...sink import Hold, Retry
from .answers import Answer
from .token import Token

if TYPE_CHECKING:
    from collections.abc import Callable

    from .client import Client
    from .settings import AirflowSettings


class Session:
    """One Airflow and the way in. Nothing is imported or asked before the first request."""

    def __init__(self, settings: AirflowSettings) -> None:
        self._to = settings
        self._opening = threading.Lock()
        self._opened: tuple[Client, Token] | None = None

    def ask(self, request: Callable[[Client, str], Answer | Retry | Hold]) -> Answer | Retry | Hold:
        """The answer to a request, which is made a second time with a new token after a 401."""
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
                    from .client import Client  # noqa: PLC0415 - takes a second and 67 MB
                except ImportError as error:
                    return Hold(
                        f"apache-airflow-client cannot be imported ({error}): reinstall dbt-relay, "
                        "best in an environment of its own"
                    )

                client = Client(self._to)
                self._opened = client, Token(self._to.login, client.log_in)
            return self._opened
