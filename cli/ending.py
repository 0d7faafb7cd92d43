"""The end of a run: what failed, the last deliveries, the run's own record, the exit code."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from ..parser.records import RunRecord
from . import exit_codes, report

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..parser.exits import Exit
    from ..sinks import Delivery
    from .console import Console
    from .destination import Destination
    from .relay import Relay

_RUN_RECORD_TIMEOUT = 5.0


def now() -> str:
    """The time as records have it."""
    return datetime.now(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def end(
    relay: Relay,
    console: Console,
    destination: Destination,
    delivery: Delivery,
    started: RunRecord,
    *,
    exit: Exit | None,
    flush_timeout: float,
    interrupted: Callable[[], bool],
) -> int:
    """Say how the run went and deliver what is left; returns the relay's exit code."""
    run = relay.run
    failed = run.failed()
    for line in report.failures(failed, relay.dbt_summary):
        console.say(line)
    console.flush()

    delivery.flush(flush_timeout, interrupted)
    figures = delivery.figures()
    last = run.invocations[-1] if run.invocations else None
    error = last.error if last is not None else None
    ended = replace(
        started,
        state="died" if exit is not None and exit.signal is not None else "finished",
        exit_code=exit.status if exit is not None else None,
        signal=exit.signal_name if exit is not None else None,
        message=error or (f"dbt {exit.describe()}" if exit is not None and exit.signal else None),
        nodes=run.outcomes(),
        failed=[record.unique_id for record in failed],
        delivery={f.sink: f.to_json() for f in figures} or None,
        finished_at=now(),
        invocation_id=last.id if last is not None else None,
        dbt_version=last.version if last is not None else None,
        sequence=started.sequence + 1,
    )
    delivery.put(ended)
    delivery.flush(min(_RUN_RECORD_TIMEOUT, flush_timeout), interrupted)

    figures = delivery.figures()
    if relay.malformed:
        console.say(
            f"relay: {relay.malformed} events of dbt's log arrived in pieces and were not read"
        )
    for line in report.delivery(sum(run.outcomes().values()), figures):
        console.say(line)
    if destination.in_airflow:
        console.say(report.summary(run.outcomes(), failed, figures))
    console.flush()

    code = exit.status if exit is not None else 0
    if code == 0 and destination.is_strict and not all(f.is_complete for f in figures):
        return exit_codes.UNDELIVERED
    return code
