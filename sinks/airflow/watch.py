"""The task that runs dbt, as Airflow's API shows it to whoever waits for its nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...records.values import number, text
from ..sink import Hold, Retry
from .api.answers import Answer, Content, read_content
from .api.session import Session
from .whereabouts import locate

if TYPE_CHECKING:
    from collections.abc import Callable

    from .api.client import Client
    from .api.settings import AirflowSettings


class UnreadError(Exception):
    """Airflow did not answer, or not with what was asked for: `verdict` says why."""

    def __init__(self, verdict: Retry | Hold) -> None:
        super().__init__(verdict.reason)
        self.verdict = verdict


class Watch:
    """Reads one task instance and its XComs, a request for each call. Each raises UnreadError.

    It is a Reader as the deciding side wants it; the arguments on where to look are for those who
    read at several places.
    """

    def __init__(self, settings: AirflowSettings) -> None:
        self._to = settings
        self._session = Session(settings)
        self._try_number: int | None = None

    def state(self, _: object = None) -> str | None:
        """Airflow's word on the task, None if it is not scheduled yet."""
        task = self._to.task.task_id
        found = self._ask(lambda client, token: client.task_instance(task, token), task) or {}
        self._try_number = number(found.get("try_number"))
        return text(found.get("state"))

    def try_number(self, _: object = None) -> int | None:
        """The try that Airflow was at when the state was read."""
        return self._try_number

    def xcom(self, _: object, key: str) -> Any:
        """An XCom's value, None where there is none."""
        found = self._ask(lambda client, token: client.xcom(key, token)) or {}
        return found.get("value")

    def close(self) -> None:
        self._session.close()

    def _ask(
        self, request: Callable[[Client, str], Answer | Retry | Hold], task_id: str | None = None
    ) -> dict[str, Any] | None:
        """What a GET brought. A task instance that is not there is looked for: `task_id`."""
        answer = self._session.ask(request)
        meaning = read_content(answer, self._to) if isinstance(answer, Answer) else answer
        if task_id is not None and isinstance(answer, Answer) and answer.names_what_is_absent:
            is_mapped = answer.detail.startswith("Task instance is mapped")
            meaning = meaning if is_mapped else locate(self._session, self._to, task_id)
        match meaning:
            case Content(data):
                return data
            case Retry() | Hold():
                raise UnreadError(meaning)
            case _:
                return None
