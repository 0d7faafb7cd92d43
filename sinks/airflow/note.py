"""The note of a task instance, which Airflow's grid shows."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from ...records.values import number, text
from ..sink import Delivered, Hold, Rejected, Retry, Verdict
from .api.answers import Answer, Content, Exists, Missing, as_seen, read_answer, read_content
from .payload import safe

if TYPE_CHECKING:
    from collections.abc import Callable

    from .api.session import Session
    from .api.settings import AirflowSettings

_PAUSE: Final = 0.5
_SEVERAL: Final = 8
"""Refusals in a row before an Airflow that takes our records is believed not to take a note."""
_REFUSED_PAUSE: Final = 0.1
_GLANCE: Final = 0.05


def write_task_note(
    session: Session,
    to: AirflowSettings,
    compose: Callable[[str], str | None],
    *,
    attempt: int | None,
    timeout: float,
    interrupted: Callable[[], bool],
    has_worked: bool = False,
) -> str | None:
    """Write the note of the task that runs dbt; None if it is there now, else why it is not.

    `compose` makes it of the note that is there, or None to leave that alone. Takes no longer than
    `timeout` seconds, whatever the server does: a request that hangs is left to die with the
    process. Of an Airflow that `has_worked`, a refusal is believed only after several in a row.
    """
    over = threading.Event()
    found: list[Verdict] = []

    def work() -> None:
        refusals = 0
        while not over.is_set():
            verdict = _write(session, to, compose, attempt)
            refusals += isinstance(verdict, Hold)
            is_believed = refusals >= _SEVERAL or not has_worked
            if isinstance(verdict, Hold) and not is_believed:
                found.append(Retry(verdict.seen or verdict.reason))
                over.wait(_REFUSED_PAUSE)
                continue
            found.append(verdict)
            if not isinstance(verdict, Retry):
                return
            over.wait(_PAUSE)

    worker = threading.Thread(target=work, name="relay-note", daemon=True)
    worker.start()
    give_up_at = time.monotonic() + timeout
    while worker.is_alive() and time.monotonic() < give_up_at and not interrupted():
        worker.join(_GLANCE)
    over.set()
    if not found:
        return f"Airflow at {to.url} did not answer within {timeout:g} s: is the API server up?"
    return None if isinstance(found[-1], Delivered) else found[-1].reason


def _write(
    session: Session,
    to: AirflowSettings,
    compose: Callable[[str], str | None],
    attempt: int | None,
) -> Verdict:
    answer = session.ask(lambda client, token: client.task_instance(to.task.task_id, token))
    if not isinstance(answer, Answer):
        return answer
    refused = _refusal(answer, to)
    there = refused or read_content(answer, to)
    if not isinstance(there, Content):
        return Rejected("Airflow knows no such task") if isinstance(there, Missing) else there
    newest = number(there.data.get("try_number"))
    if attempt is not None and newest is not None and newest > attempt:
        return Rejected(f"Airflow is at try {newest} already, and this was try {attempt}")
    note = compose(text(there.data.get("note")) or "")
    if note is None:
        return Rejected("the note that is there leaves no room: shorten that one")
    answer = session.ask(lambda client, token: client.write_note(safe(note), token))
    if not isinstance(answer, Answer):
        return answer
    # The status alone tells: the answer repeats the whole task instance, of any size.
    verdict = _refusal(answer, to) or read_answer("PATCH", answer, to)
    return verdict if not isinstance(verdict, (Exists, Missing)) else Retry("it has just changed")


def _refusal(answer: Answer, to: AirflowSettings) -> Retry | Hold | None:
    """What is said of a note in other words than of an XCom."""
    where, detail = f"Airflow at {to.url}", answer.detail
    if answer.status == 403 and not answer.is_unauthenticated:
        forbidden = Hold(
            f"{where} forbids it ({detail or 'HTTP 403'}): give the user the role Op, or a role "
            "that can read and edit this DAG, DAG runs and task instances"
        )
        return as_seen(forbidden, answer, to)
    if answer.status == 404 and detail not in ("", "Not Found") and "is mapped" not in detail:
        absent = Hold(
            f"{where} has no task {to.task.task_id!r} of map index {to.task.map_index} in run "
            f"{to.task.run_id!r} of DAG {to.task.dag_id!r}: see --task-id, --map-index, "
            "--run-id and --dag-id"
        )
        return as_seen(absent, answer, to)
    if answer.status >= 500:
        return Retry(f"{where} answered {answer.status} {detail}".rstrip())
    return None
