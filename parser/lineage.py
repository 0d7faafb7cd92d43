"""Who depends on whom, as dbt's `manifest.json` has it, and what follows from that for skips."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from ..records.values import is_array, is_object

if TYPE_CHECKING:
    from collections.abc import Iterable
    from mmap import mmap

_DATA_TESTS: Final = "test."
_UNIT_TESTS: Final = "unit_test."
_HEAD: Final = 4096
_INVOCATION_ID: Final = re.compile(rb'"invocation_id": ?"([^"]+)"')
_CHECKSUM: Final = re.compile(
    rb'"unique_id": "([^"]+)", "fqn": \[[^\]]*\], "alias": "[^"]*", '
    rb'"checksum": \{"name": "\w+", "checksum": "([^"]+)"\}'
)
_PARENTS: Final = (b'"parent_map": {', b'"parent_map":{')
"""As dbt 1.x writes it, and as v2 does. The quotes cannot stand like that inside a text."""

_FAR: Final = 1 << 32
_Found = tuple[int, str, str]
"""How far above a node, where, and which failure that is."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """Who depends on whom, from the manifest of one invocation."""

    invocation_id: str
    parents: dict[str, list[str]]

    def tested(self) -> dict[str, dict[str, int]]:
        """For each test the nodes that it tests, with how many tests each has; no unit tests."""
        tests = {u: parents for u, parents in self.parents.items() if u.startswith(_DATA_TESTS)}
        counts = Counter(parent for parents in tests.values() for parent in set(parents))
        return {u: {p: counts[p] for p in parents} for u, parents in tests.items()}

    def culprit(self, unique_id: str, failed: Iterable[str]) -> str | None:
        """The closest of the failed nodes that this one depends on, the first by name of several.

        See `Blame`, which answers for many nodes.
        """
        return Blame(self, failed).of(unique_id)


class Blame:
    """Which of the failed nodes made dbt skip another.

    `dbt build` also makes a node depend on tests: on those whose tested nodes all lie before it,
    and a model on its own unit tests. A failed test counts as standing where the node that it tests
    does.
    """

    def __init__(self, lineage: Lineage, failed: Iterable[str]) -> None:
        self._parents = lineage.parents
        self._failed: set[str] = set()
        self._tests: dict[str, str] = {}
        self._unit_tests: dict[str, str] = {}
        self._joint: dict[str, tuple[int, set[str]]] = {}
        """Failed tests of several nodes each: these as bits, and by name."""
        self._bits: dict[str, int] = {}
        self._above: dict[str, int] = {}
        self._found: dict[str, _Found | None] = {}
        for unique_id in failed:
            self.add(unique_id)

    def add(self, failed: str) -> None:
        """Another node has failed. What was found before stays as it was."""
        tested = set(self._parents.get(failed, ()))
        if failed.startswith(_UNIT_TESTS):
            for model in tested:
                self._unit_tests[model] = min(failed, self._unit_tests.get(model, failed))
        elif not failed.startswith(_DATA_TESTS):
            self._failed.add(failed)
        elif len(tested) == 1:
            (model,) = tested
            self._tests[model] = min(failed, self._tests.get(model, failed))
        elif tested:
            self._number_what_is_tested_jointly()
            self._joint[failed] = sum(self._bits[parent] for parent in tested), tested

    def of(self, skipped: str) -> str | None:
        """The closest failure that this node depends on, the first by name of several."""
        if skipped in self._unit_tests:
            return self._unit_tests[skipped]
        # Its parents may have failed since it was last looked at from below.
        self._found.pop(skipped, None)
        found = self._search(skipped)
        return found[2] if found is not None else None

    def _search(self, unique_id: str) -> _Found | None:
        """Without recursion: a lineage may be thousands of nodes long, and a damaged one a ring."""
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
        """From what was found for its parents."""
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
        """The failure that stands at a parent, or the nearest above it."""
        if parent in self._failed:
            return 1, parent, parent
        test = self._unit_tests.get(parent) or self._tests.get(parent)
        if test is not None:
            return 1, parent, test
        above = self._found.get(parent)
        return (above[0] + 1, *above[1:]) if above is not None else None

    def _number_what_is_tested_jointly(self) -> None:
        """A bit for each node that shares a test, so that a few bits say what lies above a node."""
        if self._bits:
            return
        for test, tested in self._parents.items():
            if test.startswith(_DATA_TESTS) and len(set(tested)) > 1:
                for parent in tested:
                    self._bits.setdefault(parent, 1 << len(self._bits))
        self._found.clear()


def read_lineage(artifact: bytes | mmap) -> Lineage | None:
    """The lineage in `manifest.json`, or None if it is not there.

    Cut out of the text: a whole manifest takes ten times its size to decode, and of a large
    project it has tens of megabytes.
    """
    head = _INVOCATION_ID.search(artifact[:_HEAD])
    start = max(artifact.rfind(key) for key in _PARENTS)
    if head is None or start < 0:
        return None
    # Names of parents in lists by name: the first brace that closes is its end.
    begin, end = artifact.find(b"{", start), artifact.find(b"}", start) + 1
    try:
        invocation_id = head[1].decode()
        found: Any = orjson.loads(artifact[begin:end])
    except ValueError:
        return None
    parents = (
        {
            u: [p for p in named if isinstance(p, str)]
            for u, named in found.items()
            if is_array(named)
        }
        if is_object(found)
        else {}
    )
    return Lineage(invocation_id, parents)


def read_checksums(artifact: bytes | mmap, invocation_id: str) -> dict[str, str]:
    """The checksum of each node's code in the `manifest.json` of this invocation.

    Cut out of the text like the lineage, in the form that dbt 1.7 to 1.12 write.
    """
    head = _INVOCATION_ID.search(artifact[:_HEAD])
    if head is None or head[1] != invocation_id.encode():
        return {}
    return {m[1].decode(): m[2].decode() for m in _CHECKSUM.finditer(artifact)}
