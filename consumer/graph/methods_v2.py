"""The methods of dbt's node selection as dbt v2 matches, where that differs from dbt 1.x."""

from __future__ import annotations

import re
from fnmatch import translate
from posixpath import normpath
from typing import TYPE_CHECKING, Any, Final

from ...records.values import is_array, is_object
from .methods import METHODS, VERSIONS, Search, by_name_of, check
from .names import Names, is_pattern, matcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from .manifest import Manifest
    from .methods import Method
    from .node import Node

_ANY_FOLDERS: Final = re.compile(r"(?<![^/])\*\*/")
_IN_A_NAME: Final = re.compile(r"[^/]\*\*|\*\*[^/]")
_VERSIONED_FILE: Final = re.compile(r".*_v[12]\.\w+")


def search_of(manifest: Manifest) -> Search:
    """A search with the methods of the dbt that wrote the manifest."""
    if not manifest.is_v2:
        return Search(manifest)
    found = Search(manifest, _METHODS)
    found.names = _Names(n for n in found.nodes if n.resource_type != "source")
    return found


class _Names(Names):
    """Finds nodes by their names, fully qualified names and unique_ids."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        super().__init__(nodes, bare_names=True)
        self._ids = {node.unique_id for node in self._nodes}

    def find(self, name: str) -> Iterator[str]:
        if is_pattern(name):
            yield from self._matching(name)
            return
        yield from self._exact.get(name, ())
        yield from self._versions.get("_".join(name.rsplit(".", 1)), ())
        if name in self._ids:
            yield name

    def _matching(self, pattern: str) -> Iterator[str]:
        """A pattern without dots matches no folder."""
        matches = matcher(pattern)
        if "." in pattern:
            yield from self._like(pattern)
        for node in self._nodes:
            if any(map(matches, (node.name, node.unique_id, node.fqn[-1]))):
                yield node.unique_id


def _by_path(search: Search, _: Sequence[str], value: str) -> Iterator[str]:
    wanted = normpath(value)
    matches = _path_matcher(wanted)
    for node in search.nodes:
        path, described_in = node.v2_path, node.patch_path
        is_below = path.startswith(f"{wanted}/")
        if is_below or matches(path) or (described_in and matches(described_in)):
            yield node.unique_id


def _path_matcher(pattern: str) -> Callable[[str], Any]:
    """A function that matches a path: `*` matches slashes too, `**/` any folders or none."""
    if _IN_A_NAME.search(pattern):
        return lambda _: False
    pieces = [translate(piece)[: -len(r"\Z")] for piece in _ANY_FOLDERS.split(pattern)]
    return re.compile("(?:.*/)?".join(pieces)).fullmatch


def _by_file(search: Search, _: Sequence[str], value: str) -> Iterator[str]:
    matches = matcher(value)
    for node in search.nodes:
        name = node.v2_path.rpartition("/")[2]
        if matches(name) or matches(name.rpartition(".")[0] or name):
            yield node.unique_id


def _by_group(search: Search, _: Sequence[str], value: str) -> Iterable[str]:
    nodes = (n for n in search.nodes if n.resource_type in ("model", "test", "function"))
    return [n.unique_id for n in nodes if n.group == value]


def _by_access(search: Search, _: Sequence[str], value: str) -> Iterable[str]:
    nodes = (n for n in search.nodes if n.resource_type in ("model", "function"))
    return [n.unique_id for n in nodes if n.access == value]


def _by_config(search: Search, arguments: Sequence[str], value: str | float) -> Iterator[str]:
    wanted = str(value).lower() if isinstance(value, bool) else str(value)
    if not arguments:
        key, _, wanted = wanted.partition(":")
        arguments = (key,)
    matches = matcher(wanted)
    for node in search.nodes:
        if _has(node.config, arguments, wanted, matches):
            yield node.unique_id


def _has(
    config: Mapping[str, Any], keys: Sequence[str], wanted: str, matches: Callable[[str], Any]
) -> bool:
    """Whether a config is this text, number or boolean, or a list with this text."""
    found: Any = config
    for key in keys:
        if not is_object(found):
            break
        found = found.get(key)
    if isinstance(found, bool):
        return wanted.lower() == str(found).lower()
    if isinstance(found, int | float):
        return wanted == str(found)
    texts: list[Any] = found if is_array(found) else [found]
    return any(isinstance(text, str) and bool(matches(text)) for text in texts)


def _by_resource_type(search: Search, _: Sequence[str], value: str) -> Iterable[str]:
    return [n.unique_id for n in search.nodes if n.resource_type == value]


def _by_test_type(search: Search, _: Sequence[str], value: str) -> Iterable[str]:
    types = ("generic", "singular") if value == "data" else (value,)
    return [n.unique_id for n in search.nodes if n.test_type in types]


def _by_version(search: Search, arguments: Sequence[str], value: str) -> Iterable[str]:
    """v2 takes a model for one without versions unless its file ends in `_v1` or `_v2`."""
    check("version", value, VERSIONS)
    if value != "none":
        return METHODS["version"](search, arguments, value)
    models = (n for n in search.nodes if n.resource_type == "model")
    return [n.unique_id for n in models if not _VERSIONED_FILE.fullmatch(n.path)]


def _by_test_name(search: Search, _: Sequence[str], value: str) -> Iterator[str]:
    matches = matcher(value)
    for node in search.nodes:
        if node.is_test and matches(node.test_name or node.name):
            yield node.unique_id


_METHODS: Final[dict[str, Method]] = {
    **METHODS,
    "path": _by_path,
    "file": _by_file,
    "config": _by_config,
    "resource_type": _by_resource_type,
    "function": by_name_of("function"),
    "test_type": _by_test_type,
    "test_name": _by_test_name,
    "version": _by_version,
    "group": _by_group,
    "access": _by_access,
}
