"""Rows and bytes by node and week, as a table for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .table import table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import date

    from ...consumer.history.history import NodeHistory
    from ...consumer.history.volume import Week

_MOST: Final = 5
"""Nodes in a table."""
_WEEKS: Final = 4
_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")


def volume(nodes: Sequence[NodeHistory], name: Callable[[str], str], width: int) -> Iterator[str]:
    """The nodes with the most bytes, and those with the most rows, in the latest weeks."""
    yield from _table("Most bytes read", nodes, lambda week: week.bytes, size, name, width=width)
    yield from _table("Most rows", nodes, lambda week: week.rows, "{:,}".format, name, width=width)


def size(count: int) -> str:
    """`812 B`, `4.2 GB`."""
    figure, unit = float(count), 0
    while figure >= 999.5 and unit < len(_UNITS) - 1:
        figure, unit = figure / 1000, unit + 1
    return f"{count} B" if not unit else f"{figure:.1f} {_UNITS[unit]}"


def _table(
    title: str,
    nodes: Sequence[NodeHistory],
    of_week: Callable[[Week], int | None],
    shown: Callable[[int], str],
    name: Callable[[str], str],
    *,
    width: int,
) -> Iterator[str]:
    sums: dict[str, dict[date, int]] = {}
    for node in nodes:
        found = {week.first: count for week in node.weeks if (count := of_week(week))}
        if found:
            sums[node.unique_id] = found
    weeks = sorted({first for found in sums.values() for first in found})[-_WEEKS:]
    if not weeks:
        return
    order = sorted(sums, key=lambda u: [-sums[u].get(week, 0) for week in reversed(weeks)])
    yield ""
    yield f"{title}, in the week that began on:"
    head = ("NODE", *(f"{week:%Y-%m-%d}" for week in weeks))
    rows = [
        ((name(u), *(shown(sums[u][week]) if week in sums[u] else "" for week in weeks)), "")
        for u in order[:_MOST]
    ]
    yield from table(head, rows, width)
