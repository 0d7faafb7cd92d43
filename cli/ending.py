"""The end of a run: what failed, the last deliveries, the run's own record, the exit code."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from . import exit_codes, report
from .state import deliver_command, make_room
from .task_note import task_note

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..parser.exits import Exit
    from ..parser.records import RunRecord
    from ..parser.run import Run
    from ..sinks import Delivery, Journal
    from .console import Console
    from .destination import Destination
    from .relay import Relay

_RUN_RECORD_TIMEOUT = 5.0
_NOTE_TIMEOUT = 5.0


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
    delivery: Delivery,
    started: RunRecord,
    ended: Exit | None,
    flush_timeout: float,
    interrupted: Callable[[], bool],
    options: Mapping[str, Any],
) -> int:
    """Say how the run went and deliver what is left; returns the relay's exit code."""
    run = relay.run
    failed = run.failed()
    for line in report.failures(failed, relay.dbt_summary):
        console.say(line)
    console.flush()

    delivery.flush(flush_timeout, interrupted)
    figures = delivery.figures()
    outcomes = delivery.run.outcomes()
    last = run.invocations[-1] if run.invocations else None
    error = last.error if last is not None else None
    state = "died" if ended is not None and ended.signal is not None else "finished"
    record = replace(
        started,
        state=state,
        exit_code=ended.status if ended is not None else None,
        signal=ended.signal_name if ended is not None else None,
        message=error or (f"dbt {ended.describe()}" if state == "died" and ended else None),
        nodes=outcomes,
        failed=[record.unique_id for record in failed],
        announced=run.announced,
        missing=run.missing,
        delivery={f.sink: f.to_json() for f in figures} or None,
        finished_at=now(),
        invocation_id=last.id if last is not None else None,
        dbt_version=last.version if last is not None else None,
        adapter=last.adapter if last is not None else None,
        sequence=started.sequence + 1,
    )
    delivery.put(record)
    # For Cosmos the end of the run is also that of all tests of which some were not selected.
    most = flush_timeout if destination.is_watched else _RUN_RECORD_TIMEOUT
    delivery.flush(min(most, flush_timeout), interrupted)

    figures = delivery.figures()
    if destination.noted is not None:
        trouble = destination.noted.write_note(
            task_note(record, failed),
            attempt=destination.attempt,
            timeout=min(_NOTE_TIMEOUT, flush_timeout),
            interrupted=interrupted,
        )
        if trouble is not None:
            console.say(f"relay: the task's note is not written: {trouble}")
    if relay.malformed:
        console.say(
            f"relay: {relay.malformed} events of dbt's log arrived in pieces and were not read"
        )
    if relay.faults:
        console.say(
            f"relay: {relay.faults} events ran into a fault of dbt-relay (please report the "
            "traceback above); records may be missing"
        )
    is_complete = all(f.is_complete for f in figures)
    if console.shows_info or not is_complete:
        for line in report.delivery(sum(outcomes.values()), figures):
            console.say(line)
    command = deliver_command(journal, delivery.run.id, os.environ)
    for line in report.kept(journal, command, figures):
        console.say(line)
    # Who was told to stop has no time for what the next run can do as well.
    if (ended is None or ended.stopped_by is None) and not interrupted():
        for line in make_room(journal, options):
            console.say(line)
    if destination.in_airflow:
        console.say(report.summary(outcomes, failed, figures))
    console.flush()

    code = ended.status if ended is not None else 0
    if code == 0 and destination.is_strict and not is_complete:
        return exit_codes.UNDELIVERED
    return code
