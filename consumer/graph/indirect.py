"""The tests that dbt selects along with selected nodes: dbt's `--indirect-selection`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence, Set

    from .manifest import IndirectSelection, Manifest

    Combine = Callable[[set[str], set[str]], set[str]]


@dataclass(frozen=True, slots=True)
class Found:
    """The unique_ids that a term selects (`direct`), and with `possible` also the tests that need a
    parent which another term may select."""

    direct: set[str]
    possible: set[str]


def with_tests(manifest: Manifest, nodes: set[str], mode: IndirectSelection | None) -> Found:
    """The nodes of one criterion with their tests.

    `eager` adds each test that reads one of the nodes. `cautious` adds the tests that read only
    these nodes. `buildable` adds the tests that read only these nodes, their ancestors and sources.
    """
    if mode in (None, "empty"):
        return Found(nodes, nodes)
    of_manifest = manifest.nodes
    tests = {t for n in nodes for t in of_manifest[n].children if of_manifest[t].is_test}
    if mode == "eager":
        direct = nodes | tests
    else:
        readable: Set[str] = nodes
        if mode == "buildable":
            sources = {u for u, n in of_manifest.items() if n.resource_type == "source"}
            readable = nodes | walk(manifest, nodes, "parents", math.inf) | sources
        direct = nodes | {t for t in tests if readable.issuperset(of_manifest[t].parents)}
    return Found(direct, direct | tests)


def combined(
    manifest: Manifest, found: Sequence[Found], combine: Combine, mode: IndirectSelection | None
) -> Found:
    """The union or intersection, with the tests whose parents only several terms together select.

    dbt 1.8 to 1.12 does not add unit tests in this step.
    """
    direct = reduce(combine, (f.direct for f in found), *_start(found))
    possible = reduce(combine, (f.possible for f in found), *_start(found))
    if mode not in ("cautious", "buildable") or direct == possible:
        return Found(direct, possible)
    readable = direct
    if mode == "buildable":
        readable = direct | walk(manifest, direct, "parents", math.inf)
    nodes = manifest.nodes
    more = {
        u
        for u in possible - direct
        if nodes[u].resource_type == "test" and readable.issuperset(nodes[u].parents)
    }
    return Found(direct | more, possible)


def walk(
    manifest: Manifest, start: set[str], way: Literal["parents", "children"], generations: float
) -> set[str]:
    """The nodes within so many generations of `start`, with `start`. Visits each node once."""
    nodes, found, generation = manifest.nodes, set(start), start
    while generation and generations > 0:
        generation = {u for one in generation for u in getattr(nodes[one], way)} - found
        found |= generation
        generations -= 1
    return found


def _start(found: Sequence[Found]) -> tuple[set[str], ...]:
    return () if found else (set[str](),)
