"""Single nodes of dbt's manifest and catalog, read without decoding the whole file.

A decoded manifest takes ten times the size of its text, which is tens of megabytes for a large
project, and decoding it at once would stop every other thread meanwhile.
"""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Final

import orjson

from ...parser.lineage import HEAD, invocation_of
from ...records.dbt_version import is_v2
from ...records.instant import moment
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
        self._manifests: OrderedDict[str, ArtifactNodes] = OrderedDict()
        self._catalog: ArtifactNodes | None = None
        self._has_read_catalog = False

    def node(self, invocation_id: str | None, unique_id: str) -> JsonObject | None:
        """A node of the invocation's manifest, without secrets; None if it is not there."""
        if invocation_id is None:
            return None
        found = self._manifests.get(invocation_id) or self._read_manifest(invocation_id)
        return self._node_in(found, unique_id)

    def catalog(self, unique_id: str) -> JsonObject | None:
        """A node of the catalog, of whichever invocation."""
        if not self._has_read_catalog:
            self._has_read_catalog = True
            with suppress(OSError):
                path = Path(self._folder() or "nowhere", "catalog.json")
                self._catalog = ArtifactNodes(path.read_bytes())
        return self._node_in(self._catalog, unique_id)

    def sql(self, record: NodeRecord, node: JsonObject) -> str | None:
        """The compiled code of a node.

        dbt 1.x writes it to a file as the node runs, except for a snapshot. Its manifest has the
        code only when dbt ends, as all of v2's manifest. A later delivery has to say the same.
        """
        if is_v2(record.dbt_version):
            return (text(node.get("compiled_code")) or "").strip() or None
        path = self._compiled(node)
        if path is None or record.started_at is None or record.finished_at is None:
            return None
        try:
            written = datetime.fromtimestamp(path.stat().st_mtime).astimezone()
            began, ended = moment(record.started_at), moment(record.finished_at)
            if not began - _SLACK <= written <= ended + _SLACK:
                return None
            return self._secrets.mask_text(path.read_text(encoding="utf-8").strip()) or None
        except (OSError, ValueError):
            return None

    def _compiled(self, node: JsonObject) -> Path | None:
        """The file that dbt 1.7 to 1.12 write a node's compiled code to.

        The tests of one YAML file are in a folder of that file's name.
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

    def _read_manifest(self, invocation_id: str) -> ArtifactNodes | None:
        folder = self._folder()
        try:
            with Path(folder or "", "manifest.json").open("rb") as file:
                head = file.read(HEAD)
                if folder is None or invocation_of(head) != invocation_id:
                    return None
                found = ArtifactNodes(head + file.read())
        except OSError:
            return None
        self._manifests[invocation_id] = found
        if len(self._manifests) > _KEPT:
            self._manifests.popitem(last=False)
        return found

    def _node_in(self, nodes: ArtifactNodes | None, unique_id: str) -> JsonObject | None:
        found = nodes.node(unique_id) if nodes is not None else None
        return self._secrets.mask(found) if found is not None and self._secrets else found
