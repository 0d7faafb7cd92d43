"""The note of a task instance, which Airflow's grid shows."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from ...records.values import number, text
from ..sink import Delivered, Hold, Rejected, Retry, Verdict
from .api.answers import ROLE, Answer, Content, Exists, Missing, as_seen, read_answer, read_content
from .payload import safe

if TYPE_CHECKING:
    from collections.abc import Callable

    from .api.settings import AirflowSettings
    from .writer import XComWriter

    Compose = Callable[[str], str | None]
    """The new note, from the note that is there; None to leave that note alone."""

_PAUSE: Final = 0.5
_SEVERAL: Final = 8
"""Refusals in a row until an Airflow that takes our records is believed to refuse the note."""
_REFUSED_PAUSE: Final = 0.1
_GLANCE: Final = 0.05


class TaskNote:
    """The note of the task that runs dbt. It is written over the session of the XComs' writer."""

    def __init__(self, writer: XComWriter, settings: AirflowSettings) -> None:
        self._writer = writer
        self._to = settings

    def write(
        self,
        compose: Compose,
        *,
        attempt: int | None,
        timeout: float,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> str | None:
        """Write the note; None if it is written, else why it is not.

        Takes at most `timeout` seconds, whatever the server does: a request that hangs is left to
        die with the process. If Airflow has taken records, it is a refusal only after several in a
        row.
        """
        over = threading.Event()
        found: list[Verdict] = []
        work = threading.Thread(
            target=self._work, args=(compose, attempt, over, found), name="relay-note", daemon=True
        )
        work.start()
        give_up_at = time.monotonic() + timeout
        while work.is_alive() and time.monotonic() < give_up_at and not interrupted():
            work.join(_GLANCE)
        over.set()
        if not found:
            where = f"Airflow at {self._to.url}"
            return f"{where} did not answer within {timeout:g} s: is the API server up?"
        return None if isinstance(found[-1], Delivered) else found[-1].reason

    def _work(
        self, compose: Compose, attempt: int | None, over: threading.Event, found: list[Verdict]
    ) -> None:
        """Write until it is decided, or `over`; the last of `found` is the verdict so far."""
        refusals = 0
        while not over.is_set():
            verdict = self._write(compose, attempt)
            refusals += isinstance(verdict, Hold)
            is_believed = refusals >= _SEVERAL or not self._writer.has_written
            if isinstance(verdict, Hold) and not is_believed:
                found.append(Retry(verdict.seen or verdict.reason))
                over.wait(_REFUSED_PAUSE)
                continue
            found.append(verdict)
            if not isinstance(verdict, Retry):
                return
            over.wait(_PAUSE)

    def _write(self, compose: Compose, attempt: int | None) -> Verdict:
        session, task_id = self._writer.session, self._to.task.task_id
        there = session.read(lambda client, token: client.task_instance(task_id, token), _read)
        if not isinstance(there, Content):
            return Rejected("Airflow has no such task") if isinstance(there, Missing) else there
        newest = number(there.data.get("try_number"))
        if attempt is not None and newest is not None and newest > attempt:
            return Rejected(f"Airflow is already at try {newest}, and this was try {attempt}")
        note = compose(text(there.data.get("note")) or "")
        if note is None:
            return Rejected("the existing note leaves no space: shorten it")
        answer = session.ask(lambda client, token: client.write_note(safe(note), token))
        if not isinstance(answer, Answer):
            return answer
        # The status is enough: the body repeats the whole task instance, of any size.
        verdict = _refusal(answer, self._to) or read_answer("PATCH", answer, self._to)
        return (
            Retry("the note has just changed")
            if isinstance(verdict, (Exists, Missing))
            else verdict
        )


def _read(answer: Answer, to: AirflowSettings) -> Content | Missing | Retry | Hold:
    return _refusal(answer, to) or read_content(answer, to)


def _refusal(answer: Answer, to: AirflowSettings) -> Retry | Hold | None:
    """A refusal whose words differ from those about an XCom."""
    where, detail, task = f"Airflow at {to.url}", answer.detail, to.task
    if answer.status == 403 and not answer.is_unauthenticated:
        forbidden = Hold(
            f"{where} forbids it ({detail or 'HTTP 403'}): give the user {ROLE}, or a role "
            "that can read and edit this DAG, DAG runs and task instances"
        )
        return as_seen(forbidden, answer, to)
    if answer.names_missing_id and not answer.asks_for_map_index:
        absent = Hold(
            f"{where} has no task {task.task_id!r} of map index {task.map_index} in run "
            f"{task.run_id!r} of DAG {task.dag_id!r}: see --task-id, --map-index, --run-id and "
            "--dag-id"
        )
        return as_seen(absent, answer, to)
    if answer.status >= 500:
        return Retry(f"{where} answered {answer.status} {detail}".rstrip())
    return None
