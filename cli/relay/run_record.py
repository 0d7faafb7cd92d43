"""The record of a run, at each point of the run. All functions but `now` are pure."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final

from ...records.plural import counted
from ...records.schema import RunRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...parser.run import Run
    from ...records.exits import Exit
    from ...records.schema import NodeRecord
    from ...sinks import RunInfo
    from ...sinks.journal.history import PastRun

_MOST_FAILED: Final = 100
"""Names of failed nodes in a run's record."""
DIED: Final = "the relay was killed, or its host went down, before dbt had ended"


def now() -> str:
    """The time as records have it: RFC 3339 in UTC, with microseconds and `Z`."""
    return datetime.now(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


def at_the_start(info: RunInfo, carried: Sequence[NodeRecord] = ()) -> RunRecord:
    """The record of a run that begins; `carried` are records of earlier attempts in it."""
    return RunRecord(
        state="running",
        command=shlex.join(info.command),
        started_at=info.started_at,
        attempt=info.attempt,
        resumed_from=max((r.resumed_from or 0 for r in carried), default=None),
        environment=dict(info.environment) if info.environment is not None else None,
    )


def with_versions(started: RunRecord, run: Run) -> RunRecord:
    """The record of a run that goes on, with the versions of dbt and its adapter."""
    last = run.invocations[-1]
    return replace(
        started,
        adapter=last.adapter,
        dbt_version=last.version,
        invocation_id=last.id,
        sequence=started.sequence + 1,
    )


def at_the_end(
    started: RunRecord,
    run: Run,
    ended: Exit | None,
    failed: Sequence[NodeRecord],
    *,
    outcomes: dict[str, int],
    finished_at: str,
) -> RunRecord:
    """The record of a run that is over, without the delivery figures.

    `ended` is how dbt ended, None for a saved log. `outcomes` counts the nodes.
    """
    last = run.invocations[-1] if run.invocations else None
    error = last.error if last is not None else None
    if last is not None and last.more_errors:
        error = f"{error}\n… and {counted(last.more_errors, 'more error')}"
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
        finished_at=finished_at,
        invocation_id=last.id if last is not None else None,
        dbt_version=last.version if last is not None else None,
        adapter=last.adapter if last is not None else None,
    )


def died(past: PastRun, finished_at: str) -> RunRecord:
    """The record of a run whose relay can no longer write it.

    Its sequence is the sequence of the record that it amends: a relay that did end in time, and
    only could not write so into the journal, has said more.
    """
    known = past.record or at_the_start(past.info)
    return replace(
        known,
        state="died",
        message=DIED,
        nodes=dict(past.nodes) or None,
        finished_at=finished_at,
    )
