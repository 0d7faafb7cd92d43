"""What would shorten a run: how much earlier it could end if one node took no time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .critical_path import critical_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .edges import Graph


@dataclass(frozen=True, slots=True)
class Saving:
    """A node of the critical path: its `seconds`, and the most seconds that it can save.

    A node saves less than it takes if another chain of nodes is almost as long.
    """

    unique_id: str
    seconds: float
    saves: float


def savings(
    order: Graph, seconds: Mapping[str, float], path: Iterable[str], most: int = 10
) -> list[Saving]:
    """The savings of the `most` slowest nodes of a critical path, the largest first."""
    longest = sorted(path, key=lambda node: -seconds.get(node, 0.0))
    whole = _length(order, seconds)
    found = [
        Saving(node, seconds.get(node, 0.0), whole - _length(order, {**seconds, node: 0.0}))
        for node in longest[:most]
    ]
    return sorted(found, key=lambda s: -s.saves)


def _length(order: Graph, seconds: Mapping[str, float]) -> float:
    return sum(seconds.get(node, 0.0) for node in critical_path(order, seconds))
