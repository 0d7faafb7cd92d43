"""Whether a record comes too late: a newer attempt, or a newer record, is in Airflow already.

Airflow addresses an XCom by DAG, run, task and map index, not by try. A relay of try 1 that is
still flushing, or a journal that is delivered the next morning, would write into try 2.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

from ...records.schema import NodeRecord, is_older, read_record
from ...records.values import number, text
from ..sink import Hold, Rejected, Retry
from .api.answers import Content, read_content

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...records.schema import Record
    from .api.session import Session
    from .api.settings import AirflowSettings

TRY_IS_KEPT_FOR: Final = 0.25
"""Seconds that Airflow's answer on the try is believed.

From counting up the try to deleting the XComs of the one before, Airflow 3.3 takes longer: it has
to schedule the task and start its process. What is written on an answer that just went out of date
is deleted with them.
"""


class Attempts:
    """The try that Airflow is at of the task that runs dbt."""

    def __init__(
        self,
        session: Session,
        settings: AirflowSettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._session = session
        self._to = settings
        self._clock = clock
        self._asking = threading.Lock()
        self._asked_at: float | None = None
        self._newest: int | None = None
        self._has_told = False
        """Whether Airflow has ever told the try: then it is worth asking until it does again."""

    def check(self, record: Record) -> Rejected | Retry | Hold | None:
        """Why the record must not be written now: its attempt is over, or Airflow is not there."""
        if record.attempt is None:  # of a saved log
            return None
        newest = self._ask()
        if isinstance(newest, (Retry, Hold)):
            return newest
        if newest is not None and newest > record.attempt:
            return Rejected(
                f"attempt {record.attempt} is over: Airflow is at try {newest} of task "
                f"{self._to.task.task_id!r}; `dbt-relay deliver --force` writes it all the same"
            )
        return None

    def forget(self) -> None:
        """Ask anew the next time."""
        with self._asking:
            self._asked_at = None

    def _ask(self) -> int | Retry | Hold | None:
        """The try number, None if Airflow does not tell: then the write's own answer says why."""
        with self._asking:
            now = self._clock()
            if self._asked_at is not None and now - self._asked_at < TRY_IS_KEPT_FOR:
                return self._newest
            task = self._to.task.task_id
            answer = self._session.ask(lambda client, token: client.task_instance(task, token))
            if isinstance(answer, (Retry, Hold)):
                return answer
            meaning = read_content(answer, self._to)
            is_refused = isinstance(meaning, (Retry, Hold))
            if is_refused and (answer.is_unauthenticated or self._has_told):
                return meaning
            known = meaning.data.get("try_number") if isinstance(meaning, Content) else None
            self._newest, self._asked_at = number(known), now
            self._has_told |= self._newest is not None
            return self._newest


def newer(record: Record, value: Any) -> Rejected | None:
    """Why `record` must not replace the value that is there; None if it may."""
    there = read_record(value)
    if there is None or not is_older(record, than=there):
        return None
    is_node = isinstance(there, NodeRecord)
    attempt = number(there.attempt)
    words = [
        "" if attempt is None else f"attempt {attempt}",
        text(there.status if is_node else there.state),
        text(there.finished_at or there.started_at),
    ]
    return Rejected(
        f"a newer record of this {'node' if is_node else 'run'} is there: "
        f"{', '.join(word[:40] for word in words if word)}; "
        "`dbt-relay deliver --force` replaces it"
    )
