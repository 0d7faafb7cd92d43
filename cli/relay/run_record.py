"""The record of a run: while it goes on, and at its end."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...parser.run import Run
    from ...records.exits import Exit
    from ...records.schema import NodeRecord, RunRecord

_MOST_FAILED: Final = 100
"""Names of failed nodes in a run's record."""


def now() -> str:
    """The time in the form of the records."""
    return datetime.now(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z")


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
