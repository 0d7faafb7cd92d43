"""The methods of dbt's node selection (`tag:…`, `path:…`, a bare name), as dbt 1.7 to 1.12 match."""

from __future__ import annotations

import fnmatch
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from .paths import Folders, is_pattern, with_folders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from .manifest import Manifest, Node

    Values = Callable[[Node], Iterable[str | None]]
    Method = Callable[["Search", Sequence[str], str], Iterable[str]]


class SelectionError(ValueError):
    """A selection that dbt would refuse, or that a manifest alone cannot answer."""


_OUTSIDE: Final = frozenset(
    {"source", "exposure", "metric", "semantic_model", "saved_query", "unit_test", "function"}
)
"""The kinds that lie beside `nodes` in a manifest; some methods look only at those in it."""

_KINDS: Final = _OUTSIDE | {
    "model", "analysis", "test", "snapshot", "operation", "seed", "rpc", "doc", "macro", "group",
    "fixture",
}  # fmt: skip
_TEST_TYPES: Final = {
    "generic": ("generic",),
    "schema": ("generic",),
    "singular": ("singular",),
    "data": ("generic", "singular"),
    "unit": ("unit",),
}
_VERSIONS: Final = ("latest", "prerelease", "old", "none")


class Search:
    """Finds the nodes of a manifest by method and value. What several values need is kept."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._nodes = tuple(manifest.nodes.values())
        self._indexes: dict[str, dict[str, list[str]]] = {}

    def find(self, method: str, arguments: Sequence[str], value: str) -> set[str]:
        """The unique_ids of what matches. Raises SelectionError if the value cannot."""
        return set(METHODS[method](self, arguments, value))

    def fqn(self, _: Sequence[str], value: str) -> Iterator[str]:
        """A name, a folder, or both with dots; of a versioned model also `name.v2`, `name_v2`."""
        if not is_pattern(value):
            yield from self._names.get(value, ())
            yield from self._versioned_names.get("_".join(value.split(".")[-2:]), ())
            return
        parts = value.split(".")
        first = next(i for i, part in enumerate(parts) if is_pattern(part))
        start = "".join(f"{part}." for part in parts[:first])
        matches = _matcher(".".join(parts[first:]))
        leaf = _matcher(value) if len(parts) == 1 and self._matches_leaves else None
        for node in self._nodes:
            if node.resource_type == "source":
                continue
            names = (".".join(node.fqn), ".".join(node.fqn[1:]))
            if any(
                name.startswith(start)
                and name.count(".") >= len(parts) - 1
                and matches(name[len(start) :])
                for name in names
            ) or (leaf and leaf(_leaf(node))):
                yield node.unique_id

    def path(self, _: Sequence[str], value: str) -> Iterator[str]:
        if not value or value.startswith("/"):
            raise SelectionError(
                f"'path:{value}' selects nothing: give a path from the project's folder on, "
                "like path:models/staging"
            )
        for path in self._folders.glob(value):
            yield from self._paths.get(path, ())

    def package(self, _: Sequence[str], value: str) -> Iterable[str]:
        name = self._manifest.project_name if value == "this" else None
        return self._by_value("package", lambda node: (node.package_name,), name or value)

    def tag(self, _: Sequence[str], value: str) -> Iterable[str]:
        return self._by_value("tag", lambda node: node.tags, value)

    def file(self, _: Sequence[str], value: str) -> Iterable[str]:
        return self._by_value("file", _file_names, value)

    def group(self, _: Sequence[str], value: str) -> Iterable[str]:
        if self._manifest.dbt_version < (1, 8) and is_pattern(value):
            return ()
        return self._by_value("group", _groups, value)

    def test_name(self, _: Sequence[str], value: str) -> Iterable[str]:
        return self._by_value("test_name", _test_names, value)

    def access(self, _: Sequence[str], value: str) -> Iterable[str]:
        models = (n for n in self._nodes if n.resource_type == "model")
        return [n.unique_id for n in models if n.access == value]

    def resource_type(self, _: Sequence[str], value: str) -> Iterable[str]:
        if value not in _KINDS:
            raise SelectionError(
                f"'resource_type:{value}' is none of dbt's: it knows {', '.join(sorted(_KINDS))}"
            )
        return [n.unique_id for n in self._nodes if n.resource_type == value]

    def test_type(self, _: Sequence[str], value: str) -> Iterator[str]:
        if value not in _TEST_TYPES:
            raise SelectionError(
                f"'test_type:{value}' is none of dbt's: it knows generic, singular, unit and data"
            )
        types = _TEST_TYPES[value]
        if value == "data" and self._manifest.dbt_version < (1, 8):
            types = ("singular",)
        for node in self._nodes:
            if node.is_test and _test_type(node) in types:
                yield node.unique_id

    def version(self, _: Sequence[str], value: str) -> Iterator[str]:
        if value not in _VERSIONS:
            raise SelectionError(
                f"'version:{value}' is none of dbt's: it knows {', '.join(_VERSIONS)}"
            )
        for node in self._nodes:
            if node.resource_type == "model" and value == _standing(node):
                yield node.unique_id

    def config(self, arguments: Sequence[str], value: str) -> Iterator[str]:
        wanted = value.upper() if arguments == ["severity"] else None
        for node in self._nodes:
            if node.resource_type == "source" or node.resource_type not in _OUTSIDE:
                found: Any = node.config
                for key in arguments:
                    found = found.get(key) if isinstance(found, dict) else None
                if wanted is not None and isinstance(found, str):
                    found, value = found.upper(), wanted
                if found is not node.config and _has(found, value):
                    yield node.unique_id

    def source(self, _: Sequence[str], value: str) -> Iterable[str]:
        """`name`, `name.table` or `package.name.table`."""
        parts = value.split(".")
        if len(parts) > 3:
            raise SelectionError(
                f"'source:{value}' has too many dots: write source:name, source:name.table or "
                "source:package.name.table"
            )
        if len(parts) < 3:
            parts = ["*", *parts, "*"][:3]
        package, name, table = map(_matcher, parts)
        sources = (n for n in self._nodes if n.resource_type == "source")
        return [
            n.unique_id
            for n in sources
            if package(n.package_name) and name(n.source_name or "") and table(n.name)
        ]

    def _of_kind(self, kind: str, value: str) -> Iterable[str]:
        """`name` or `package.name`."""
        parts = value.split(".")
        if len(parts) > 2:
            raise SelectionError(
                f"'{kind}:{value}' has too many dots: write {kind}:name or {kind}:package.name"
            )
        package, name = map(_matcher, ["*", *parts][-2:])
        nodes = (n for n in self._nodes if n.resource_type == kind)
        return [n.unique_id for n in nodes if package(n.package_name) and name(n.name)]

    @staticmethod
    def of_kind(kind: str) -> Method:
        return lambda search, _, value: search._of_kind(kind, value)

    def _by_value(self, method: str, values: Values, pattern: str) -> Iterator[str]:
        """The nodes one of whose values is this, or matches it as a wildcard."""
        index = self._indexes.get(method)
        if index is None:
            index = self._indexes[method] = _index(
                (value, node.unique_id) for node in self._nodes for value in values(node) if value
            )
        if not is_pattern(pattern):
            yield from index.get(pattern, ())
            return
        matches = _matcher(pattern)
        for value, unique_ids in index.items():
            if matches(value):
                yield from unique_ids

    @property
    def _matches_leaves(self) -> bool:
        """Whether `stg_*` finds a model in a folder, as from dbt 1.11.16 and 1.12.6 on."""
        version = self._manifest.dbt_version
        return version >= (1, 11, 16) and not (1, 12) <= version < (1, 12, 6)

    @cached_property
    def _names(self) -> dict[str, list[str]]:
        """Each way to name a node without a wildcard: its name, or where its fqn begins."""
        return _index(
            (name, node.unique_id)
            for node in self._nodes
            if node.resource_type != "source"
            for name in {_leaf(node), *_beginnings(node.fqn), *_beginnings(node.fqn[1:])}
        )

    @cached_property
    def _versioned_names(self) -> dict[str, list[str]]:
        return _index(
            ("_".join(n.fqn[-2:]), n.unique_id) for n in self._nodes if n.version is not None
        )

    @cached_property
    def _paths(self) -> dict[str, list[str]]:
        """By each path that selects a node: its file, the folders of that, and its YAML file."""
        return _index(
            (path, node.unique_id)
            for node in self._nodes
            for path in {*with_folders(node.path), node.patch_path or node.path}
        )

    @cached_property
    def _folders(self) -> Folders:
        """dbt looks for paths in the root project; those of packages count if they are there too."""
        own = [n for n in self._nodes if n.package_name == self._manifest.project_name]
        return Folders(path for n in own or self._nodes for path in (n.path, n.patch_path) if path)


METHODS: Final[dict[str, Method]] = {
    "fqn": Search.fqn,
    "tag": Search.tag,
    "path": Search.path,
    "file": Search.file,
    "package": Search.package,
    "config": Search.config,
    "resource_type": Search.resource_type,
    "source": Search.source,
    "exposure": Search.of_kind("exposure"),
    "metric": Search.of_kind("metric"),
    "semantic_model": Search.of_kind("semantic_model"),
    "saved_query": Search.of_kind("saved_query"),
    "unit_test": Search.of_kind("unit_test"),
    "test_type": Search.test_type,
    "test_name": Search.test_name,
    "version": Search.version,
    "group": Search.group,
    "access": Search.access,
}


def _matcher(pattern: str) -> Callable[[str], Any]:
    return re.compile(fnmatch.translate(pattern)).match


def _index(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    index: dict[str, list[str]] = {}
    for key, unique_id in pairs:
        index.setdefault(key, []).append(unique_id)
    return index


def _leaf(node: Node) -> str:
    """The node's name in its fqn, which in that of a versioned model comes before the version."""
    return node.fqn[-2 if node.version is not None and len(node.fqn) > 1 else -1]


def _beginnings(fqn: Sequence[str]) -> Iterator[str]:
    """`a`, `a.b`, `a.b.c`; a dot in a name parts it, too."""
    parts = ".".join(fqn).split(".")
    for end in range(1, len(parts) + 1):
        yield ".".join(parts[:end])


def _file_names(node: Node) -> Iterator[str]:
    name = node.path.rpartition("/")[2]
    yield name
    stem, dot, ending = name.rpartition(".")
    if stem and dot and ending:
        yield stem


def _groups(node: Node) -> Iterator[str | None]:
    if node.resource_type == "metric" or node.resource_type not in _OUTSIDE:
        yield node.config.get("group")


def _test_names(node: Node) -> Iterator[str | None]:
    yield node.name if node.resource_type == "unit_test" else node.test_name


def _test_type(node: Node) -> str:
    if node.resource_type == "unit_test":
        return "unit"
    return "singular" if node.test_name is None else "generic"


def _standing(node: Node) -> str | None:
    """Where a model's version is, seen from its latest."""
    if node.version is None:
        return "none"
    if node.version == node.latest_version:
        return "latest"
    if not node.version or not node.latest_version:
        return None
    try:
        is_old = float(node.version) < float(node.latest_version)
    except ValueError:
        is_old = str(node.version) < str(node.latest_version)
    return "old" if is_old else "prerelease"


def _has(found: Any, value: str) -> bool:
    """Whether a config is this value, or a list with it. `true` and `false` are booleans as well."""
    values: list[Any] = found if isinstance(found, list) else [found]
    boolean = {"TRUE": True, "FALSE": False}.get(value.upper())
    return any(one == value or (boolean is not None and one is boolean) for one in values)
