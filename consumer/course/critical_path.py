"""The chain of nodes that a run cannot be shorter than, with however many threads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .edges import in_order

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .edges import Graph


def critical_path(parents: Graph, seconds: Mapping[str, float]) -> list[str]:
    """The chain with the longest sum of seconds, the first node first; empty without a graph.

    A node without seconds counts nothing, but leads on to its children.
    """
    until: dict[str, float] = {}
    before: dict[str, str] = {}
    for node in in_order(parents):
        known = [parent for parent in parents[node] if parent in until]
        slowest = max(known, key=until.__getitem__, default=None)
        until[node] = seconds.get(node, 0.0)
        if slowest is not None:
            before[node] = slowest
            until[node] += until[slowest]
    last = max(until, key=until.__getitem__, default=None)
    path: list[str] = []
    while last is not None:
        path.append(last)
        last = before.get(last)
    return [node for node in reversed(path) if seconds.get(node)]
