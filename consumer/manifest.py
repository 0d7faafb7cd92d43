"""dbt's `manifest.json` (v11 and newer, which dbt 1.7 and newer write): its nodes and their edges."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import orjson

from ..parser.values import is_array, is_object, text

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterator, Mapping

    from ..parser.values import JsonObject

_SECTIONS: Final = (
    "nodes", "sources", "exposures", "metrics", "semantic_models", "saved_queries", "unit_tests",
    "functions",
)  # fmt: skip
_OLDEST: Final = 11
_SCHEMA: Final = re.compile(r"/dbt/([\w-]+)/v(\d+)\.json$")
_NUMBERS: Final = re.compile(r"\d+")
_NEWEST: Final = (9999,)
TESTS: Final = frozenset({"test", "unit_test"})
RUNNABLE: Final = frozenset({"model", "seed", "snapshot", "function"})

IndirectSelection = Literal["eager", "cautious"]


class ManifestError(ValueError):
    """There is no manifest to read, or not one of a dbt that is known."""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """What dbt's graph consists of: models, tests, sources, exposures, hooks (`operation`), ….

    `path` is relative to the package's root, `patch_path` the YAML file that describes the node,
    relative to the root of that file's package. `test_name` is the generic test's (`not_null`),
    `source_name` that of the group of tables. `parents` and `children` are unique_ids, the parents
    with their own ancestors first.
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
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def is_ephemeral(self) -> bool:
        return self.materialized == "ephemeral"

    @property
    def is_test(self) -> bool:
        return self.resource_type in TESTS

    @property
    def is_runnable(self) -> bool:
        """Whether `dbt build` runs it, tests aside: it passes over ephemeral and empty models."""
        return self.resource_type in RUNNABLE and not (self.is_empty or self.is_ephemeral)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The enabled nodes of a project by unique_id, parents before their children.

    `dbt_version` has its numbers only; a dbt that does not say its version is taken for the newest.
    """

    nodes: Mapping[str, Node]
    project_name: str | None = None
    dbt_version: tuple[int, ...] = _NEWEST

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Manifest:
        """The manifest in this file. Raises ManifestError."""
        try:
            document = _decode(Path(path).read_bytes())
        except FileNotFoundError:
            raise ManifestError(
                f"there is no manifest at {path}: run `dbt parse` in the project, which writes "
                "target/manifest.json"
            ) from None
        except OSError as error:
            raise ManifestError(
                f"the manifest at {path} cannot be read: {error.strerror or error}; name the file "
                "target/manifest.json, and let this user read it"
            ) from None
        except ValueError as error:
            raise ManifestError(
                f"{path} is not JSON ({error}), as when dbt was stopped while it wrote: "
                "run `dbt parse` again"
            ) from None
        return cls.from_json(document, str(path))

    @classmethod
    def from_json(cls, document: Any, name: str = "this document") -> Manifest:
        """The manifest that was decoded from JSON; `name` stands for it in the ManifestError."""
        metadata = _metadata(document, name)
        raw: dict[str, JsonObject] = {}
        for section in _SECTIONS:
            raw.update(document.get(section) or {})
        parents = {
            u: tuple(p for p in dict.fromkeys(_depends_on(n)) if p in raw) for u, n in raw.items()
        }
        children: dict[str, list[str]] = {u: [] for u in raw}
        for unique_id, of_node in parents.items():
            for parent in of_node:
                children[parent].append(unique_id)
        nodes: dict[str, Node] = {}
        place: dict[str, int] = {}
        for unique_id in _in_order(parents, children):
            place[unique_id] = len(place)
            sorted_parents = tuple(sorted(parents[unique_id], key=place.__getitem__))
            try:
                nodes[unique_id] = _node(
                    unique_id, raw[unique_id], sorted_parents, tuple(children[unique_id])
                )
            except (KeyError, TypeError, AttributeError) as error:
                raise ManifestError(
                    f"{unique_id} in {name} is not as dbt writes it ({error!r}): "
                    "run `dbt parse` again"
                ) from None
        if len(nodes) < len(raw):
            circle = next(u for u in raw if u not in nodes)
            raise ManifestError(
                f"{circle} in {name} depends on itself: dbt writes no such manifest, so run "
                "`dbt parse` again"
            )
        numbers = _NUMBERS.findall(text(metadata.get("dbt_version")) or "")
        return cls(
            nodes, text(metadata.get("project_name")), tuple(map(int, numbers[:3])) or _NEWEST
        )

    def nearest(self, within: Collection[str]) -> dict[str, tuple[str, ...]]:
        """For each of these nodes the nearest of its ancestors that are among them.

        Edges pass through what is not: with a → b → c and b ephemeral, empty or not selected, the
        nearest of c is a. That is the order that dbt keeps, too.
        """
        chosen = frozenset(within)
        nearest: dict[str, tuple[str, ...]] = {}
        for unique_id, node in self.nodes.items():
            match node.parents:
                case (parent,) if parent not in chosen:
                    nearest[unique_id] = nearest[parent]
                case parents:
                    found: dict[str, None] = {}
                    for parent in parents:
                        found.update(
                            dict.fromkeys((parent,) if parent in chosen else nearest[parent])
                        )
                    nearest[unique_id] = tuple(found)
        return {u: ancestors for u, ancestors in nearest.items() if u in chosen}

    def tests_of(self, unique_id: str) -> tuple[str, ...]:
        """The tests and unit tests that depend on this node."""
        return tuple(u for u in self.nodes[unique_id].children if self.nodes[u].is_test)

    def owner(self, test: str, within: Collection[str] | None = None) -> str | None:
        """The one node, of these or of all, that a test counts with; None if it depends on none.

        That is the node it was written for where dbt says so (generic tests), else the last of its
        parents: only then is everything there that the test reads.
        """
        node = self.nodes[test]
        parents = [p for p in node.parents if within is None or p in within]
        if node.attached_node in parents:
            return node.attached_node
        return parents[-1] if parents else None

    def tests(
        self, within: Collection[str], indirect_selection: IndirectSelection = "eager"
    ) -> dict[str, tuple[str, ...]]:
        """The tests that dbt runs with these nodes, by the node of them that owns each.

        As with dbt's `--indirect-selection`: `eager` takes each test that reads one of the nodes,
        `cautious` only those all of whose parents are among them.
        """
        chosen = frozenset(within)
        owned: dict[str, list[str]] = {}
        for unique_id, node in self.nodes.items():
            if not node.is_test:
                continue
            if indirect_selection == "cautious" and not chosen.issuperset(node.parents):
                continue
            owner = self.owner(unique_id, chosen)
            if owner is not None:
                owned.setdefault(owner, []).append(unique_id)
        return {owner: tuple(tests) for owner, tests in owned.items()}


def _decode(artifact: bytes) -> Any:
    try:
        return orjson.loads(artifact)
    except ValueError:
        return json.loads(artifact)  # dbt writes NaN and lone surrogates, which orjson refuses


def _metadata(document: Any, name: str) -> JsonObject:
    metadata = document.get("metadata") if is_object(document) else None
    schema = text(metadata.get("dbt_schema_version")) if is_object(metadata) else None
    found = _SCHEMA.search(schema or "")
    if not is_object(metadata) or found is None:
        raise ManifestError(
            f"{name} is not an artifact of dbt: give the target/manifest.json that `dbt parse` writes"
        )
    kind, number = found[1], int(found[2])
    if kind != "manifest":
        raise ManifestError(
            f"{name} is dbt's {kind.replace('-', '_')}.json and not its manifest: give the "
            "target/manifest.json beside it"
        )
    if number < _OLDEST:
        version = text(metadata.get("dbt_version")) or "before 1.7"
        raise ManifestError(
            f"{name} is a manifest v{number} of dbt {version}, and v{_OLDEST} or newer is read: run "
            "`dbt parse` with dbt 1.7 or newer"
        )
    return metadata


def _depends_on(node: JsonObject) -> Collection[str]:
    depends_on = node.get("depends_on")
    found = depends_on.get("nodes") if is_object(depends_on) else None
    return found if is_array(found) else ()


def _in_order(
    parents: Mapping[str, Collection[str]], children: Mapping[str, Collection[str]]
) -> Iterator[str]:
    """Parents before children; what is in a circle is left out."""
    missing = {u: len(of_node) for u, of_node in parents.items()}
    ready = [u for u, count in missing.items() if not count]
    for unique_id in ready:  # grows while it is read
        yield unique_id
        for child in children[unique_id]:
            missing[child] -= 1
            if not missing[child]:
                ready.append(child)


def _node(
    unique_id: str, raw: JsonObject, parents: tuple[str, ...], children: tuple[str, ...]
) -> Node:
    kind = raw["resource_type"]
    config = raw.get("config") or {}
    tags = config.get("tags") if kind == "unit_test" else raw.get("tags")
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
