"""Which attempt of the task that runs dbt Airflow is at; Airflow calls it the try number."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from ....records.values import number
from ...sink import Hold, Retry
from .answers import Content, read_content

if TYPE_CHECKING:
    from collections.abc import Callable

    from .answers import Answer
    from .session import Session
    from .settings import AirflowSettings

BELIEVED_FOR: Final = 0.25
"""Seconds that Airflow's answer is believed.

Airflow 3.3 needs longer between its two steps: it counts the try up, and when the task's process
starts it deletes the XComs of the try before. So what is written on an answer that has just gone
out of date is deleted with them.
"""


class CurrentAttempt:
    """Asks Airflow for the attempt, and remembers the answer for a moment.

    `refusal` is Airflow's answer if the user may not read task instances.
    """

    def __init__(
        self,
        session: Session,
        settings: AirflowSettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session
        self._task_id = settings.task.task_id
        self._clock = clock
        self.refusal: str | None = None
        self._asking = threading.Lock()
        self._asked_at: float | None = None
        self._number: int | None = None
        self._has_told = False
        """Whether Airflow has ever told the attempt: then it is asked until it tells again."""

    def number(self) -> int | Retry | Hold | None:
        """The attempt. None if Airflow does not tell it: then the answer to the write says why."""
        with self._asking:
            now = self._clock()
            if self._asked_at is not None and now - self._asked_at < BELIEVED_FOR:
                return self._number
            task_id = self._task_id
            told = self._session.read(
                lambda client, token: client.task_instance(task_id, token), self._understand
            )
            if isinstance(told, (Retry, Hold)):
                return told
            self._number, self._asked_at = told, now
            self._has_told |= told is not None
            return told

    def ask_again(self) -> None:
        """Believe the last answer no longer."""
        with self._asking:
            self._asked_at = None

    def _understand(self, answer: Answer, to: AirflowSettings) -> int | Retry | Hold | None:
        meaning = read_content(answer, to)
        if isinstance(meaning, (Retry, Hold)) and (answer.is_unauthenticated or self._has_told):
            return meaning
        if isinstance(meaning, Hold) and answer.status == 403:
            self.refusal = meaning.seen or meaning.reason
        return number(meaning.data.get("try_number")) if isinstance(meaning, Content) else None
