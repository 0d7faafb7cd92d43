"""One node of dbt's graph, with the facts that a task group and a selection need."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...records.values import JsonObject

TESTS: Final = frozenset({"test", "unit_test"})
RUNNABLE: Final = frozenset({"model", "seed", "snapshot", "function"})


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A model, test, source, exposure, hook (`operation`) or any other node of dbt's graph.

    `path` is relative to the package's root. `patch_path` is the YAML file that describes the node,
    relative to the root of that file's package. `test_name` names the generic test (`not_null`),
    `source_name` the source that a table belongs to. `parents` and `children` are unique_ids;
    ancestors come first among the parents.
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
    relation_name: str | None = None
    patch_path: str | None = None
    attached_node: str | None = None
    test_name: str | None = None
    source_name: str | None = None
    is_empty: bool = False
    parents: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)

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
    unique_id: str, raw: JsonObject, parents: tuple[str, ...], children: tuple[str, ...]
) -> Node:
    """The node in a manifest. Raises KeyError, TypeError or AttributeError for other JSON."""
    kind = raw["resource_type"]
    config: JsonObject = raw.get("config") or {}
    tags: Any = config.get("tags") if kind == "unit_test" else raw.get("tags")
    patch_path = raw.get("patch_path")
    metadata = raw.get("test_metadata")
    raw_code = raw.get("raw_code")
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
        relation_name=raw.get("relation_name"),
        patch_path=patch_path.partition("://")[2] if patch_path else None,
        attached_node=raw.get("attached_node"),
        test_name=metadata["name"] if metadata else None,
        source_name=raw.get("source_name"),
        is_empty=kind != "seed" and raw_code is not None and not raw_code.strip(),
        parents=parents,
        children=children,
        config=config,
    )
