"""Which failed node made dbt skip another: the closest one above it in the lineage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .lineage import DATA_TESTS, UNIT_TESTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .lineage import Lineage

_FAR: Final = 1 << 32
_Found = tuple[int, str, str]
"""A failure above a node: the distance, the ancestor at that distance, and the failed node, which
is the ancestor or a test of it."""


class FailedAncestors:
    """Finds the closest failure above a node, for many nodes of one lineage.

    `dbt build` also makes nodes depend on tests: a model on its own unit tests, and any node on the
    data tests whose tested nodes all lie above it. A failed test counts as a failure at the node
    that it tests.
    """

    def __init__(self, lineage: Lineage, failed: Iterable[str]) -> None:
        self._parents = lineage.parents
        self._failed: set[str] = set()
        self._tests: dict[str, str] = {}
        self._unit_tests: dict[str, str] = {}
        self._joint: dict[str, tuple[int, set[str]]] = {}
        """Each failed test of several nodes, with these nodes as bits and by unique_id."""
        self._bits: dict[str, int] = {}
        """A bit for each node that shares a test with another node."""
        self._above: dict[str, int] = {}
        """The bits of all ancestors of a node."""
        self._found: dict[str, _Found | None] = {}
        for unique_id in failed:
            self.add(unique_id)

    def add(self, failed: str) -> None:
        """Take another failed node. Answers found before do not change."""
        tested = set(self._parents.get(failed, ()))
        if failed.startswith(UNIT_TESTS):
            for model in tested:
                self._unit_tests[model] = min(failed, self._unit_tests.get(model, failed))
        elif not failed.startswith(DATA_TESTS):
            self._failed.add(failed)
        elif len(tested) == 1:
            (model,) = tested
            self._tests[model] = min(failed, self._tests.get(model, failed))
        elif tested:
            self._assign_bits()
            self._joint[failed] = sum(self._bits[parent] for parent in tested), tested

    def closest(self, skipped: str) -> str | None:
        """The closest failure above this node; of several the first in alphabetical order."""
        if skipped in self._unit_tests:
            return self._unit_tests[skipped]
        # A search from below may have come here before its parents failed.
        self._found.pop(skipped, None)
        found = self._search(skipped)
        return found[2] if found is not None else None

    def _search(self, unique_id: str) -> _Found | None:
        """Depth first, without recursion: a lineage may be thousands of nodes long, and a damaged
        one may have a cycle."""
        below = [(unique_id, iter(self._parents.get(unique_id, ())))]
        entered = {unique_id}
        while below:
            node, parents = below[-1]
            for parent in parents:
                if not (parent in self._found or parent in self._failed or parent in entered):
                    entered.add(parent)
                    below.append((parent, iter(self._parents.get(parent, ()))))
                    break
            else:
                self._found[node] = self._nearest(node)
                below.pop()
        return self._found[unique_id]

    def _nearest(self, unique_id: str) -> _Found | None:
        """The closest failure above a node whose parents have been searched."""
        parents = self._parents.get(unique_id, ())
        found = [f for f in map(self._at, parents) if f is not None]
        if self._bits:
            above = 0
            for parent in parents:
                above |= self._above.get(parent, 0) | self._bits.get(parent, 0)
            self._above[unique_id] = above
            for test, (bits, tested) in self._joint.items():
                if bits & above == bits:
                    near = sorted(tested.intersection(parents))
                    found.append((1, near[0], test) if near else (_FAR, test, test))
        return min(found, default=None)

    def _at(self, parent: str) -> _Found | None:
        """The failure at a parent, or the closest one above it."""
        if parent in self._failed:
            return 1, parent, parent
        test = self._unit_tests.get(parent) or self._tests.get(parent)
        if test is not None:
            return 1, parent, test
        above = self._found.get(parent)
        return (above[0] + 1, *above[1:]) if above is not None else None

    def _assign_bits(self) -> None:
        """Give a bit to each node that shares a test, so that one number holds all ancestors."""
        if self._bits:
            return
        for test, tested in self._parents.items():
            if test.startswith(DATA_TESTS) and len(set(tested)) > 1:
                for parent in tested:
                    self._bits.setdefault(parent, 1 << len(self._bits))
        self._found.clear()
