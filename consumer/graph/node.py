"""One node of dbt's graph, with the facts that a task group and a selection need."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ...records.values import is_object, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...records.values import JsonObject

TESTS: Final = frozenset({"test", "unit_test"})
_YAML: Final = (".yml", ".yaml")
RUNNABLE: Final = frozenset({"model", "seed", "snapshot", "function"})
_DEFAULTS_OF_V2: Final[JsonObject] = {
    "access": "protected",
    "contract": {"alias_types": True, "enforced": False},
    "docs": {"show": True},
    "on_configuration_change": "apply",
}


@dataclass(frozen=True, slots=True)
class Layout:
    """The name of a project, and the folder of its packages, relative to the project."""

    project: str
    packages: str

    def package(self, name: str) -> str:
        """The folder of a package, with a slash at the end."""
        return f"{self.packages}/{name}/"

    @property
    def is_outside(self) -> bool:
        """Whether the packages lie outside of the project."""
        return f"{self.packages}/".startswith("../")


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A model, test, source, exposure, hook (`operation`) or any other node of dbt's graph.

    `path` is relative to the package's root. `patch_path` is the YAML file that describes the node,
    relative to the root of that file's package. `test_name` names the generic test (`not_null`),
    `source_name` the source that a table belongs to. `parents` and `children` are unique_ids;
    ancestors come first among the parents. `owner` is `meta.owner`, else the owner of the node's
    group in dbt. `compiled_path` is relative to dbt's folder `target/compiled`. `has_freshness`:
    dbt has a rule for how old the rows of the source may be. `v2_path` is relative to the project,
    as dbt v2 knows the node.
    """

    unique_id: str
    resource_type: str
    name: str
    package_name: str
    path: str
    fqn: tuple[str, ...]
    tags: tuple[str, ...] = ()
    materialized: str | None = None
    version: str | float | None = None
    latest_version: str | float | None = None
    access: str | None = None
    group: str | None = None
    relation_name: str | None = None
    patch_path: str | None = None
    attached_node: str | None = None
    test_name: str | None = None
    source_name: str | None = None
    description: str | None = None
    owner: str | None = None
    compiled_path: str | None = None
    v2_path: str = ""
    is_empty: bool = False
    has_freshness: bool = False
    parents: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    meta: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)

    @property
    def described_in(self) -> str:
        """The file for a person who wants to change the node's settings."""
        return self.patch_path or self.path

    @property
    def test_type(self) -> str | None:
        """`generic`, `singular` or `unit`; None for a node that is no test."""
        if self.resource_type == "unit_test":
            return "unit"
        if self.resource_type == "test":
            return "singular" if self.test_name is None else "generic"
        return None

    @property
    def standing(self) -> str | None:
        """How a model's version compares: `latest`, `prerelease`, `old`, or `none` without one."""
        version, latest = self.version, self.latest_version
        if self.resource_type != "model" or version is None:
            return "none" if self.resource_type == "model" else None
        if version == latest:
            return "latest"
        if not version or not latest:
            return None
        try:
            is_old = float(version) < float(latest)
        except ValueError:
            is_old = str(version) < str(latest)
        return "old" if is_old else "prerelease"

    @property
    def is_ephemeral(self) -> bool:
        return self.materialized == "ephemeral"

    @property
    def is_test(self) -> bool:
        return self.resource_type in TESTS

    @property
    def is_runnable(self) -> bool:
        """Whether `dbt build` runs the node, which is no test, and no ephemeral or empty model."""
        return self.resource_type in RUNNABLE and not (self.is_empty or self.is_ephemeral)


def read_node(
    unique_id: str,
    raw: JsonObject,
    parents: tuple[str, ...],
    children: tuple[str, ...],
    group_owners: Mapping[str, str | None],
    *,
    of_v2: Layout | None = None,
) -> Node:
    """The node in a manifest. `of_v2` is there if dbt v2 wrote the manifest. Raises KeyError,
    TypeError or AttributeError for other JSON."""
    kind = raw["resource_type"]
    config: JsonObject = raw.get("config") or {}
    if of_v2 is not None:
        config = _without_defaults(config, raw.get("unrendered_config") or {})
    tags: Any = config.get("tags") if kind == "unit_test" else raw.get("tags")
    patch_path = raw.get("patch_path")
    metadata = raw.get("test_metadata")
    raw_code = raw.get("raw_code")
    # Up to dbt 1.9 the meta of a source is not in its config.
    meta: Any = config.get("meta") or raw.get("meta")
    meta = meta if is_object(meta) else {}
    v2_path = _v2_path(raw, of_v2) if of_v2 is not None else ""
    return Node(
        unique_id=unique_id,
        resource_type=kind,
        name=raw["name"],
        package_name=raw["package_name"],
        path=raw["original_file_path"].removeprefix("./"),
        fqn=tuple(raw["fqn"]),
        tags=(tags,) if isinstance(tags, str) else tuple(tags or ()),
        materialized=config.get("materialized"),
        version=raw.get("version") if kind == "model" else None,
        latest_version=raw.get("latest_version"),
        access=raw.get("access"),
        group=raw.get("group"),
        relation_name=raw.get("relation_name"),
        patch_path=patch_path.partition("://")[2] if patch_path else None,
        attached_node=raw.get("attached_node"),
        test_name=metadata["name"] if metadata else None,
        source_name=raw.get("source_name"),
        description=text(raw.get("description")),
        owner=owner_name(meta.get("owner")) or group_owners.get(config.get("group") or ""),
        compiled_path=_compiled_path(raw, v2_path, of_v2),
        v2_path=v2_path,
        is_empty=kind != "seed" and raw_code is not None and not raw_code.strip(),
        has_freshness=kind == "source" and _has_rules(raw.get("freshness")),
        parents=parents,
        children=children,
        config=config,
        meta=meta,
    )


def owner_name(owner: Any) -> str | None:
    """The name in dbt's `owner`, which is a text or has `name` and `email`; else its e-mail."""
    if is_object(owner):
        return text(owner.get("name")) or text(owner.get("email"))
    return text(owner)


def _has_rules(freshness: Any) -> bool:
    """Whether a limit is set: dbt writes the rules without limits too."""
    rules = freshness if is_object(freshness) else {}
    limits = (rules.get(name) for name in ("warn_after", "error_after"))
    return any(is_object(limit) and limit.get("count") is not None for limit in limits)


def _without_defaults(config: JsonObject, written: JsonObject) -> JsonObject:
    """The config without the values that dbt v2 adds to its manifest, but does not select by.

    `written` is the config as the project's files have it. It lacks what a macro sets: a macro
    that sets a default cannot be told from no setting.
    """
    return {
        key: value
        for key, value in config.items()
        if key in written or key not in _DEFAULTS_OF_V2 or value != _DEFAULTS_OF_V2[key]
    }


def _v2_path(raw: JsonObject, layout: Layout) -> str:
    """dbt v2 writes a file for each generic test. The manifest has the path of a file within its
    package, or within the project if the package lies outside of it."""
    path, package = raw["original_file_path"], raw["package_name"]
    if raw.get("test_metadata"):
        return f"target/generic_tests/{raw['path']}"
    is_whole = package == layout.project or layout.is_outside
    return path if is_whole else layout.package(package) + path


def _compiled_path(raw: JsonObject, v2_path: str, layout: Layout | None) -> str | None:
    """The file into which dbt compiles a node. One YAML file describes several tests."""
    if raw["resource_type"] not in ("model", "test"):
        return None
    if layout is not None:
        package = raw["package_name"]
        outside = layout.package(package) if layout.is_outside else ""
        return f"{package}/{v2_path.removeprefix(outside)}"
    path = f"{raw['package_name']}/{raw['original_file_path']}"
    return f"{path}/{raw['path']}" if path.endswith(_YAML) and raw.get("path") else path
