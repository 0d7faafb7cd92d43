"""The methods of dbt's node selection (`tag:…`, `path:…`, `fqn:…`), as dbt 1.7 to 1.12 match."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final

from .names import Names, index, is_pattern, matcher
from .paths import Folders, with_folders

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from .manifest import Manifest, Node

    Method = Callable[["Search", Sequence[str], Any], Iterable[str]]


class SelectionError(ValueError):
    """A selection that dbt would refuse, or that needs more than a manifest."""


_OUTSIDE: Final = frozenset(
    {"source", "exposure", "metric", "semantic_model", "saved_query", "unit_test", "function"}
)
"""The kinds that a manifest has outside its section `nodes`, which some methods do not search."""

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
VERSIONS: Final = ("latest", "prerelease", "old", "none")


class Search:
    """Finds the nodes of a manifest by method and value, with indexes for repeated searches."""

    def __init__(self, manifest: Manifest, methods: Mapping[str, Method] | None = None) -> None:
        self.manifest = manifest
        self._methods = METHODS if methods is None else methods
        self.nodes = tuple(manifest.nodes.values())
        self._indexes: dict[str, dict[str, list[str]]] = {}

    def find(self, method: str, arguments: Sequence[str], value: str | float) -> set[str]:
        """The unique_ids of the nodes that match. Raises SelectionError for a method that this dbt
        does not have, and for a value that the method does not have."""
        if method not in self._methods:
            known = ", ".join((*self._methods, "selector"))
            raise SelectionError(f"there is no method {method!r}: use one of {known}")
        return set(self._methods[method](self, arguments, value))

    def by_value(self, method: str, pattern: str) -> Iterator[str]:
        """The unique_ids of the nodes with a value that equals or matches the pattern."""
        known = self._indexes.get(method)
        if known is None:
            values = _VALUES[method]
            pairs = ((value, n.unique_id) for n in self.nodes for value in values(n) if value)
            known = self._indexes[method] = index(pairs)
        if not is_pattern(pattern):
            yield from known.get(pattern, ())
            return
        matches = matcher(pattern)
        for value, unique_ids in known.items():
            if matches(value):
                yield from unique_ids

    @cached_property
    def names(self) -> Names:
        version = self.manifest.dbt_version
        bare_names = version >= (1, 11, 16) and not (1, 12) <= version < (1, 12, 6)
        return Names((n for n in self.nodes if n.resource_type != "source"), bare_names=bare_names)

    @cached_property
    def paths(self) -> dict[str, list[str]]:
        """The unique_ids by each path that selects a node: its file, the folders, its YAML file."""
        return index(
            (path, node.unique_id)
            for node in self.nodes
            for path in {*with_folders(node.path), node.patch_path or node.path}
        )

    @cached_property
    def folders(self) -> Folders:
        """The tree that dbt searches: the root project, also for paths of a package."""
        own = [n for n in self.nodes if n.package_name == self.manifest.project_name]
        return Folders(path for n in own or self.nodes for path in (n.path, n.patch_path) if path)


def _by_fqn(search: Search, _: Sequence[str], value: str) -> Iterable[str]:
    return search.names.find(value)


def _by_path(search: Search, _: Sequence[str], value: str) -> Iterator[str]:
    if not value or value.startswith("/"):
        raise SelectionError(
            f"'path:{value}' is not relative to the project's folder, like path:models/staging"
        )
    for path in search.folders.glob(value):
        yield from search.paths.get(path, ())


def _by_package(search: Search, _: Sequence[str], value: str) -> Iterable[str]:
    root = search.manifest.project_name
    is_alias = value == "this" and search.manifest.dbt_version >= (1, 8)
    return search.by_value("package", root if is_alias and root else value)


def _by_group(search: Search, _: Sequence[str], value: str) -> Iterable[str]:
    has_patterns = search.manifest.dbt_version >= (1, 8)
    return search.by_value("group", value) if has_patterns or not is_pattern(value) else ()


def _by_access(search: Search, _: Sequence[str], value: str) -> Iterable[str]:
    models = (n for n in search.nodes if n.resource_type == "model")
    return [n.unique_id for n in models if n.access == value]


def _by_config(search: Search, arguments: Sequence[str], value: str | float) -> Iterator[str]:
    is_severity = tuple(arguments) == ("severity",)
    wanted = str(value).upper() if is_severity else value
    for node in search.nodes:
        if node.resource_type in _OUTSIDE and node.resource_type != "source":
            continue
        found: Any = node.config
        for key in arguments:
            found = found.get(key) if isinstance(found, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        if is_severity and isinstance(found, str):
            found = found.upper()
        if _has(found, wanted):
            yield node.unique_id


def _has(found: Any, value: str | float) -> bool:
    """Whether a config is this value or a list with it. `true` and `false` match booleans too."""
    boolean = {"TRUE": True, "FALSE": False}.get(str(value).upper())
    if isinstance(found, list):
        return value in found or (boolean is not None and boolean in found)
    return found == value or (boolean is not None and found is boolean)


def _by_resource_type(search: Search, _: Sequence[str], value: str) -> Iterable[str]:
    check("resource_type", value, sorted(_KINDS))
    return [n.unique_id for n in search.nodes if n.resource_type == value]


def _by_test_type(search: Search, _: Sequence[str], value: str) -> Iterable[str]:
    check("test_type", value, _TEST_TYPES)
    types = _TEST_TYPES[value]
    if value == "data" and search.manifest.dbt_version < (1, 8):
        types = ("singular",)
    return [n.unique_id for n in search.nodes if n.test_type in types]


def _by_version(search: Search, _: Sequence[str], value: str) -> Iterable[str]:
    check("version", value, VERSIONS)
    return [n.unique_id for n in search.nodes if n.standing == value]


def check(method: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise SelectionError(
            f"dbt does not know '{method}:{value}': {method} is one of {', '.join(known)}"
        )


def _by_source(search: Search, _: Sequence[str], value: str) -> Iterable[str]:
    parts = value.split(".")
    if len(parts) > 3:
        raise SelectionError(
            f"'source:{value}' has too many dots: write source:name, source:name.table or "
            "source:package.name.table"
        )
    package, name, table = map(matcher, parts if len(parts) == 3 else ["*", *parts, "*"][:3])
    return [
        n.unique_id
        for n in search.nodes
        if n.resource_type == "source"
        and package(n.package_name)
        and name(n.source_name or "")
        and table(n.name)
    ]


def _by_name(kind: str, search: Search, _: Sequence[str], value: str) -> Iterable[str]:
    parts = value.split(".")
    if len(parts) > 2:
        raise SelectionError(
            f"'{kind}:{value}' has too many dots: write {kind}:name or {kind}:package.name"
        )
    package, name = map(matcher, ["*", *parts][-2:])
    nodes = (n for n in search.nodes if n.resource_type == kind)
    return [n.unique_id for n in nodes if package(n.package_name) and name(n.name)]


def by_name_of(kind: str) -> Method:
    """The method that finds nodes of one kind by `name` or `package.name`."""
    return partial(_by_name, kind)


def _by_value_of(method: str, search: Search, _: Sequence[str], value: str) -> Iterable[str]:
    return search.by_value(method, value)


def _file_names(node: Node) -> Iterator[str]:
    name = node.path.rpartition("/")[2]
    yield name
    stem, _, ending = name.rpartition(".")
    if stem and ending:
        yield stem


def _groups(node: Node) -> Iterator[str | None]:
    if node.resource_type == "metric" or node.resource_type not in _OUTSIDE:
        yield node.config.get("group")


def _test_names(node: Node) -> Iterator[str | None]:
    yield node.name if node.resource_type == "unit_test" else node.test_name


_VALUES: Final[dict[str, Callable[[Node], Iterable[str | None]]]] = {
    "tag": lambda node: node.tags,
    "file": _file_names,
    "package": lambda node: (node.package_name,),
    "group": _groups,
    "test_name": _test_names,
}
METHODS: Final[dict[str, Method]] = {
    "fqn": _by_fqn,
    "tag": partial(_by_value_of, "tag"),
    "path": _by_path,
    "file": partial(_by_value_of, "file"),
    "package": _by_package,
    "config": _by_config,
    "resource_type": _by_resource_type,
    "source": _by_source,
    "exposure": by_name_of("exposure"),
    "metric": by_name_of("metric"),
    "semantic_model": by_name_of("semantic_model"),
    "saved_query": by_name_of("saved_query"),
    "unit_test": by_name_of("unit_test"),
    "test_type": _by_test_type,
    "test_name": partial(_by_value_of, "test_name"),
    "version": _by_version,
    "group": _by_group,
    "access": _by_access,
}
