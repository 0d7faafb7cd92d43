"""How many rows and bytes a node has each week."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...records.brief import BriefRun, Result


@dataclass(slots=True)
class Week:
    """The sums of a week, which begins on the Monday `first`, in UTC; None where nothing is known.

    `bytes` is what the database read, `slot_ms` BigQuery's milliseconds of a slot.
    """

    first: date
    runs: int = 0
    rows: int | None = None
    bytes: int | None = None
    slot_ms: int | None = None


def weeks(results: Sequence[Result], mondays: Sequence[date]) -> list[Week]:
    """The weeks in which the adapter counted something of a node.

    `mondays` has the week of each run.
    """
    found: dict[date, Week] = {}
    for result in results:
        if result.rows is None and result.bytes is None and result.slot_ms is None:
            continue
        first = mondays[result.run]
        week = found.setdefault(first, Week(first))
        week.runs += 1
        week.rows = _sum(week.rows, result.rows)
        week.bytes = _sum(week.bytes, result.bytes)
        week.slot_ms = _sum(week.slot_ms, result.slot_ms)
    return [found[first] for first in sorted(found)]


def monday(run: BriefRun) -> date:
    """The first day of the week in which a run began."""
    day = datetime.fromtimestamp(run.started_at, timezone.utc).date()
    return day - timedelta(days=day.weekday())


def _sum(so_far: int | None, more: int | None) -> int | None:
    if more is None:
        return so_far
    return more if so_far is None else so_far + more
