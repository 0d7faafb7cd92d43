"""The end of a run: what failed, the last deliveries, the run's own record, the exit code."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final

from .. import exit_codes
from ..output import report
from ..output.note_text import task_note
from .state_folder import deliver_command, make_room

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ...parser.run import Run
    from ...records.exits import Exit
    from ...records.schema import NodeRecord, RunRecord
    from ...sinks import Delivery, Figures, Journal
    from ..output.console import Console
    from .deadline import Deadline
    from .destination import Destination
    from .pipeline import Relay
    from .recording import Recording

_MOST_FAILED: Final = 100
"""Names of failed nodes in the run's own record."""
_SOON: Final = 0.5
"""Seconds in which a server that keeps up has taken what was left, so that the run's own record
can say so, and is written once."""
_START: Final = 5.0
"""Seconds at most that a short run may still need to load Airflow's client."""


def now() -> str:
    """The time as records have it."""
    return datetime.now(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def announce(started: RunRecord, run: Run) -> RunRecord:
    """The record of a run that goes on, with the versions at work."""
    last = run.invocations[-1]
    return replace(
        started,
        adapter=last.adapter,
        dbt_version=last.version,
        invocation_id=last.id,
        sequence=started.sequence + 1,
    )


def end(
    *,
    relay: Relay,
    console: Console,
    destination: Destination,
    journal: Journal,
    recording: Recording,
    ended: Exit | None,
    deadline: Deadline,
    options: Mapping[str, Any],
) -> int:
    """Say how the run went and deliver what is left; returns the relay's exit code."""
    failed = relay.run.failed()
    for line in report.failures(failed, relay.dbt_summary):
        console.say(line)
    console.flush()

    delivery = recording.delivery
    figures: list[Figures] = []
    outcomes: dict[str, int] = {}
    if delivery is not None:
        outcomes = delivery.run.outcomes()
        record = _last_record(recording.started, relay.run, ended, failed, outcomes)
        figures = _deliver(delivery, record, deadline)
        _write_note(console, destination, record, failed, deadline)
    for line in report.unread(relay.malformed, relay.faults):
        console.say(line)
    is_complete = all(f.is_complete for f in figures)
    if console.shows_info or not is_complete:
        for line in report.delivery(sum(outcomes.values()), figures, deadline.describe()):
            console.say(line)
    if delivery is not None:
        command = deliver_command(journal, delivery.run.number, os.environ)
        for line in report.kept(journal, command, figures):
            console.say(line)
    # Who was told to stop has no time for what the next run can do as well.
    if not deadline.is_stopped:
        for line in make_room(journal, options):
            console.say(line)
    if destination.in_airflow:
        console.say(report.summary(outcomes, failed, figures))
    console.flush()

    code = ended.status if ended is not None else 0
    if code == 0 and destination.is_strict and not is_complete:
        return exit_codes.UNDELIVERED
    return code


def _last_record(
    started: RunRecord,
    run: Run,
    ended: Exit | None,
    failed: Sequence[NodeRecord],
    outcomes: dict[str, int],
) -> RunRecord:
    """The run's own record but for the deliveries."""
    last = run.invocations[-1] if run.invocations else None
    error = last.error if last is not None else None
    state = "died" if ended is not None and ended.signal is not None else "finished"
    return replace(
        started,
        state=state,
        exit_code=ended.status if ended is not None else None,
        signal=ended.signal_name if ended is not None else None,
        message=error or (f"dbt {ended.describe()}" if state == "died" and ended else None),
        nodes=outcomes,
        failed=[record.unique_id for record in failed[:_MOST_FAILED]],
        failed_omitted=max(0, len(failed) - _MOST_FAILED) or None,
        announced=run.announced,
        missing=run.missing,
        finished_at=now(),
        invocation_id=last.id if last is not None else None,
        dbt_version=last.version if last is not None else None,
        adapter=last.adapter if last is not None else None,
    )


def _deliver(delivery: Delivery, record: RunRecord, deadline: Deadline) -> list[Figures]:
    """Deliver what is left, the run's own record before all: whoever waits for a node needs it.

    It is in the journal at once, where it is true whatever becomes of the relay, and counts what
    waits. Where that has changed in the end, it is put once more.
    """
    told = _put(delivery, record, 1)
    if not deadline.is_stopped:
        enough = _keeps_up(delivery, deadline)
        delivery.flush(min(_START, deadline.left), enough, order="run last")
        if _counts(delivery) != told:
            told = _put(delivery, record, 2)
    delivery.flush(deadline.left, deadline.is_over, order="worst first")
    if _counts(delivery) != told:
        deadline.extend()
        _put(delivery, record, 3)
        delivery.flush(deadline.left, deadline.is_over, order="worst first")
    return delivery.figures()


def _keeps_up(delivery: Delivery, deadline: Deadline) -> Callable[[], bool]:
    """Tells when to wait no longer for a server that may keep up."""
    until: list[float] = []

    def is_enough() -> bool:
        if delivery.is_under_way and not until:
            until.append(time.monotonic() + _SOON)
        return deadline.is_stopped or bool(until and time.monotonic() > until[0])

    return is_enough


def _put(delivery: Delivery, record: RunRecord, amendment: int) -> dict[str, dict[str, int]]:
    counts = _counts(delivery)
    delivery.put(replace(record, delivery=counts or None, sequence=record.sequence + amendment))
    return counts


def _counts(delivery: Delivery) -> dict[str, dict[str, int]]:
    return {figures.sink: figures.to_json() for figures in delivery.figures()}


def _write_note(
    console: Console,
    destination: Destination,
    record: RunRecord,
    failed: Sequence[NodeRecord],
    deadline: Deadline,
) -> None:
    if destination.noted is None:
        return
    last = deadline.for_note()
    trouble = destination.noted.write_note(
        task_note(record, failed),
        attempt=destination.attempt,
        timeout=last.left,
        interrupted=last.is_over,
    )
    if trouble is not None:
        console.say(f"relay: the task's note is not written: {trouble}")
