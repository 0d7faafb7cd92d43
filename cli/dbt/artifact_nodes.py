"""Single nodes of dbt's manifest and catalog, read without decoding the whole file.

A decoded manifest takes ten times the size of its text, which is tens of megabytes for a large
project, and decoding it at once would stop every other thread meanwhile.
"""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from datetime import datetime, timedelta
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final

import orjson

from ...records.values import is_object, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...parser.secrets import Secrets
    from ...records.schema import NodeRecord
    from ...records.values import JsonObject

_ENTRY: Final = re.compile(
    rb'"((?:model|seed|snapshot|source|test|unit_test|function|operation)\.[^"\\]+)": ?\{'
)
"""The start of a node's entry, as dbt 1.x and as v2 spell it."""
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[{}]', re.DOTALL)
_HEAD: Final = 4096
_INVOCATION_ID: Final = re.compile(rb'"invocation_id": ?"([^"]+)"')
_KEPT: Final = 2
"""Manifests in memory: a command may run dbt several times."""
_SLACK: Final = timedelta(seconds=2)
"""File systems keep some times in whole seconds."""


class ArtifactNodes:
    """The nodes in the text of an artifact, by unique_id. The first entry of a name counts."""

    def __init__(self, artifact: bytes) -> None:
        self._artifact = artifact
        self._starts: dict[bytes, int] = {}
        for match in _ENTRY.finditer(artifact):
            self._starts.setdefault(match[1], match.end() - 1)

    def node(self, unique_id: str) -> JsonObject | None:
        start = self._starts.get(unique_id.encode())
        if start is None:
            return None
        try:
            found: Any = orjson.loads(self._artifact[start : self._end(start)])
        except ValueError:
            return None
        return found if is_object(found) else None

    def _end(self, start: int) -> int:
        """The position after the brace that closes the one at `start`."""
        depth = 0
        for token in _TOKEN.finditer(self._artifact, start):
            word = token[0]
            depth += (word == b"{") - (word == b"}")
            if not depth:
                return token.end()
        return len(self._artifact)


class TargetFolder:
    """The files in dbt's target folder. `folder` tells where it is, when a file is needed.

    A later invocation of dbt writes over them: then its manifest counts as absent, and so does
    each compiled file that was written when the node did not run. One thread may ask.
    """

    def __init__(self, folder: Callable[[], str | None], secrets: Secrets) -> None:
        self._folder = folder
        self._secrets = secrets
        self._manifests: OrderedDict[str, ArtifactNodes | None] = OrderedDict()
        self._catalog: ArtifactNodes | None = None
        self._has_read_catalog = False

    def node(self, invocation_id: str | None, unique_id: str) -> JsonObject | None:
        """A node of the invocation's manifest, without secrets; None if it is not there."""
        if invocation_id is None:
            return None
        if invocation_id not in self._manifests:
            self._manifests[invocation_id] = self._manifest_of(invocation_id)
            while len(self._manifests) > _KEPT:
                self._manifests.popitem(last=False)
        return self._node_in(self._manifests[invocation_id], unique_id)

    def catalog(self, unique_id: str) -> JsonObject | None:
        """A node of the catalog, of whichever invocation."""
        if not self._has_read_catalog:
            self._has_read_catalog = True
            content = self._content("catalog.json")
            self._catalog = ArtifactNodes(content) if content is not None else None
        return self._node_in(self._catalog, unique_id)

    def sql(self, record: NodeRecord, node: JsonObject) -> str | None:
        """The compiled code of a node, if the file was written while the node ran."""
        if record.started_at is None or record.finished_at is None:
            return None
        path = self._compiled(node)
        if path is None:
            return None
        try:
            written = datetime.fromtimestamp(path.stat().st_mtime).astimezone()
            began, ended = _time(record.started_at), _time(record.finished_at)
            if not began - _SLACK <= written <= ended + _SLACK:
                return None
            return self._secrets.mask_text(path.read_text(encoding="utf-8").strip()) or None
        except (OSError, ValueError):
            return None

    def _compiled(self, node: JsonObject) -> Path | None:
        """The file that dbt writes a node's compiled code to, as dbt 1.7 to 1.12 and v2 place it.

        Several tests of one YAML file are in a folder of that file's name.
        """
        folder, package = self._folder(), text(node.get("package_name"))
        original, own = text(node.get("original_file_path")), text(node.get("path"))
        if folder is None or package is None or original is None or own is None:
            return None
        below = PurePath(original)
        if PurePath(own).name != below.name:
            below /= own
        root = Path(folder, "compiled", package)
        path = Path(os.path.normpath(root / below))
        return path if path.is_relative_to(root) else None

    def _manifest_of(self, invocation_id: str) -> ArtifactNodes | None:
        content = self._content("manifest.json")
        head = _INVOCATION_ID.search(content[:_HEAD]) if content is not None else None
        if content is None or head is None or head[1] != invocation_id.encode():
            return None
        return ArtifactNodes(content)

    def _content(self, name: str) -> bytes | None:
        folder = self._folder()
        try:
            return Path(folder, name).read_bytes() if folder is not None else None
        except OSError:
            return None

    def _node_in(self, nodes: ArtifactNodes | None, unique_id: str) -> JsonObject | None:
        found = nodes.node(unique_id) if nodes is not None else None
        return self._secrets.mask(found) if found is not None and self._secrets else found


def _time(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp.replace("Z", "+00:00"))
