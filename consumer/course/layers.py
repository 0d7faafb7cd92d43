"""Where a picture of the graph has its nodes: the layer of each node, and its place in there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .edges import children_of, in_order

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .edges import Graph

_SWEEPS: Final = 4


def layers(parents: Graph) -> list[list[str]]:
    """The nodes by depth: a node's layer is the first one after all its parents'.

    Within a layer the nodes stand near their parents and children, so that few edges cross.
    """
    depth: dict[str, int] = {}
    for node in in_order(parents):
        depth[node] = 1 + max((depth.get(parent, -1) for parent in parents[node]), default=-1)
    found: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for node, layer in depth.items():
        found[layer].append(node)
    children = children_of(parents)
    for _ in range(_SWEEPS):
        _sweep(found, parents)
        _sweep(found[::-1], children)
    return found


def _sweep(found: Sequence[list[str]], neighbours: Mapping[str, Sequence[str]]) -> None:
    """Sort each layer by the mean place of its nodes' neighbours in the layers before."""
    place: dict[str, float] = {}
    for layer in found:
        for number, node in enumerate(layer):
            known = [place[other] for other in neighbours[node] if other in place]
            place[node] = sum(known) / len(known) if known else number / max(1, len(layer) - 1)
        layer.sort(key=place.__getitem__)
        # Places run from 0 to 1, so that layers of different lengths compare.
        place.update((node, n / max(1, len(layer) - 1)) for n, node in enumerate(layer))
