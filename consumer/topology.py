"""The order of a graph, for dbt's manifest and for the course of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping


def parents_first(
    missing: dict[str, int], children: Mapping[str, Collection[str]]
) -> Iterator[str]:
    """The nodes, parents before children, without the nodes in a circle.

    `missing` is for each node the number of its parents. It is used up.
    """
    ready = [node for node, count in missing.items() if not count]
    for node in ready:  # grows while it is read
        yield node
        for child in children[node]:
            missing[child] -= 1
            if not missing[child]:
                ready.append(child)
