"""Which node depends on which, read from dbt's `manifest.json` without decoding all of it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import orjson

from ..records.values import is_array, is_object

DATA_TESTS: Final = "test."
UNIT_TESTS: Final = "unit_test."
HEAD: Final = 4096
"""Bytes at the start of an artifact that name its invocation."""
_INVOCATION_ID: Final = re.compile(rb'"invocation_id": ?"([^"]+)"')
_CHECKSUM: Final = re.compile(
    rb'"unique_id": "([^"]+)", "fqn": \[[^\]]*\], "alias": "[^"]*", '
    rb'"checksum": \{"name": "\w+", "checksum": "([^"]+)"\}'
)
_FILES: Final = re.compile(
    rb'"path": ("[^"]*"), "original_file_path": ("[^"]*"), "unique_id": ("[^"]+")'
)
_PARENT_MAP: Final = (b'"parent_map": {', b'"parent_map":{')
"""The spellings of dbt 1.x and of v2. A JSON string cannot contain these unescaped quotes."""


@dataclass(frozen=True, slots=True)
class Lineage:
    """The parents of each node, by unique_id, in the manifest of one invocation."""

    invocation_id: str
    parents: dict[str, list[str]]

    def tested(self) -> dict[str, dict[str, int]]:
        """The nodes that each data test tests, with the number of data tests of each node."""
        tests = {u: parents for u, parents in self.parents.items() if u.startswith(DATA_TESTS)}
        counts = Counter(parent for parents in tests.values() for parent in set(parents))
        return {u: {p: counts[p] for p in parents} for u, parents in tests.items()}


def invocation_of(head: bytes) -> str | None:
    """The invocation of an artifact, whose first bytes are `head`."""
    found = _INVOCATION_ID.search(head)
    return found[1].decode("utf-8", "replace") if found is not None else None


def read_lineage(artifact: bytes) -> Lineage | None:
    """The lineage in a `manifest.json`; None if it has none.

    Decodes only the `parent_map`: a decoded manifest takes ten times the size of its text, which is
    tens of megabytes for a large project.
    """
    invocation_id = invocation_of(artifact[:HEAD])
    start = max(artifact.rfind(key) for key in _PARENT_MAP)
    if invocation_id is None or start < 0:
        return None
    # The map holds lists only, so the first closing brace ends it.
    begin, end = artifact.find(b"{", start), artifact.find(b"}", start) + 1
    try:
        found: Any = orjson.loads(artifact[begin:end])
    except ValueError:
        return None
    return Lineage(invocation_id, _parents(found) if is_object(found) else {})


def _parents(parent_map: dict[str, Any]) -> dict[str, list[str]]:
    lists = {unique_id: listed for unique_id, listed in parent_map.items() if is_array(listed)}
    return {u: [p for p in listed if isinstance(p, str)] for u, listed in lists.items()}


def read_checksums(artifact: bytes, invocation_id: str) -> dict[str, str]:
    """The checksum of each node's code, by unique_id; empty for another invocation's manifest.

    Searches the text for the form that dbt 1.7 to 1.12 write.
    """
    if invocation_of(artifact[:HEAD]) != invocation_id:
        return {}
    return {m[1].decode(): m[2].decode() for m in _CHECKSUM.finditer(artifact)}


@dataclass(frozen=True, slots=True)
class SourceFile:
    """The file of a node, below its package's root, and the file's or the test's own `path`."""

    file: str
    path: str


def read_files(artifact: bytes) -> dict[str, SourceFile]:
    """The file of each node by unique_id, macros among them.

    Searches the text for the form that dbt 1.7 to 1.12 write. A record of dbt v2 names the file.
    """
    found: dict[str, SourceFile] = {}
    for match in _FILES.finditer(artifact):
        path, file, unique_id = (orjson.loads(text) for text in match.groups())
        found[unique_id] = SourceFile(file, path)
    return found
