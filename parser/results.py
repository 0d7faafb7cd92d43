"""dbt's artifacts: `run_results.json` (v4 to v6), and the lineage in `manifest.json`."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Collection
    from mmap import mmap

    from .secrets import Secrets

_DATA_TESTS: Final = "test."
_TESTS: Final = (_DATA_TESTS, "unit_test.")
_HEAD: Final = 4096
_INVOCATION_ID: Final = re.compile(rb'"invocation_id": ?"([^"]+)"')
_CHECKSUM: Final = re.compile(
    rb'"unique_id": "([^"]+)", "fqn": \[[^\]]*\], "alias": "[^"]*", '
    rb'"checksum": \{"name": "\w+", "checksum": "([^"]+)"\}'
)
_PARENTS: Final = b'"parent_map": {'
_CHILDREN: Final = b', "child_map": {'


@dataclass(frozen=True, slots=True)
class RunResults:
    """The results that dbt wrote for one invocation, by unique_id, as dbt wrote them."""

    invocation_id: str
    results: dict[str, dict[str, Any]]

    def masked(self, secrets: Secrets) -> RunResults:
        """The same without secrets: dbt scrubs its logs, and not this file."""
        return replace(self, results=secrets.mask(self.results)) if secrets else self


def read_run_results(artifact: bytes) -> RunResults | None:
    """`run_results.json`, or None if these bytes are not one."""
    try:
        document = orjson.loads(artifact)
        results = {r["unique_id"]: r for r in document["results"]}
        return RunResults(document["metadata"]["invocation_id"], results)
    except (ValueError, TypeError, KeyError):
        return None


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

    def culprit(self, unique_id: str, failed: Collection[str]) -> str | None:
        """The closest of the failed nodes that this one depends on, the first by name of several.

        `dbt build` also makes a node depend on the tests of its parents: a failed test counts as
        standing where the node that it tests does.
        """
        blamed: dict[str, str] = {}
        for failure in sorted(failed, reverse=True):
            if failure.startswith(_TESTS):
                blamed.update(dict.fromkeys(self.parents.get(failure, ()), failure))
        blamed.update({f: f for f in failed if not f.startswith(_TESTS)})
        seen: set[str] = set()
        generation = [unique_id]
        while generation:
            generation = sorted({p for u in generation for p in self.parents.get(u, ())} - seen)
            for ancestor in generation:
                if ancestor in blamed:
                    return blamed[ancestor]
            seen.update(generation)
        return None


def read_lineage(artifact: bytes | mmap) -> Lineage | None:
    """The lineage in `manifest.json`, or None if it is not there.

    Cut out of the text: a whole manifest takes ten times its size to decode, and of a large
    project it has tens of megabytes.
    """
    head = _INVOCATION_ID.search(artifact[:_HEAD])
    start = artifact.rfind(_PARENTS)
    end = artifact.find(_CHILDREN, start)
    if head is None or start < 0 or end < 0:
        return None
    try:
        return Lineage(head[1].decode(), orjson.loads(artifact[start + len(_PARENTS) - 1 : end]))
    except ValueError:
        return None


def read_checksums(artifact: bytes | mmap, invocation_id: str) -> dict[str, str]:
    """The checksum of each node's code in the `manifest.json` of this invocation.

    Cut out of the text like the lineage, in the form that dbt 1.7 to 1.9 write.
    """
    head = _INVOCATION_ID.search(artifact[:_HEAD])
    if head is None or head[1] != invocation_id.encode():
        return {}
    return {m[1].decode(): m[2].decode() for m in _CHECKSUM.finditer(artifact)}
