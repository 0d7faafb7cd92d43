"""dbt's `manifest.json` (v11 and later, which dbt 1.7 and later write): nodes and edges."""

from __future__ import annotations

import gc
import json
import re
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import orjson

from ...records.values import is_array, is_object, text
from ..topology import parents_first
from .node import Layout, Node, owner_name, read_node
from .project import PACKAGES, Project

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Generator, Mapping, Sequence

    from ...records.values import JsonObject

_SECTIONS: Final = (
    "nodes", "sources", "exposures", "metrics", "semantic_models", "saved_queries", "unit_tests",
    "functions",
)  # fmt: skip
_OLDEST: Final = 11
_SCHEMA: Final = re.compile(r"/dbt/([\w-]+)/v(\d+)\.json$")
_NUMBERS: Final = re.compile(r"\d+")
_NEWEST: Final = (1, 9999)
_V2: Final = 2

IndirectSelection = Literal["eager", "cautious", "buildable", "empty"]


class ManifestError(ValueError):
    """The manifest is missing or unreadable, or its version is unknown."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """The enabled nodes of a project by unique_id, parents before their children.

    `dbt_version` has only the numbers; a manifest without a version counts as the newest of dbt 1.
    `indirect_selection` is the project's flag. No manifest has it, so `read` takes it from a
    project file near the manifest; dbt v2 ignores it. `selectors` has the definitions of
    `selectors.yml` by name, `default_selector` the name of the one with `default: true`. dbt v2
    leaves the default and parts of the definitions out of a manifest, so `read` takes them from a
    `selectors.yml` beside the project file.
    """

    nodes: Mapping[str, Node]
    project_name: str | None = None
    dbt_version: tuple[int, ...] = _NEWEST
    indirect_selection: IndirectSelection = "eager"
    selectors: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    default_selector: str | None = None

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Manifest:
        """The manifest in this file. Raises ManifestError."""
        try:
            with _without_garbage_collection():
                document = _decode(Path(path).read_bytes())
                project = Project.of(Path(path), _project_name(_metadata(document, str(path))))
                packages = project.packages if project is not None else PACKAGES
                found = cls.from_json(document, str(path), packages=packages)
            if found.is_v2:
                return found._with_selectors(project.selectors() if project is not None else [])
            flag = project.flag("indirect_selection") if project is not None else None
            mode = next((m for m in get_args(IndirectSelection) if m == flag), None)
            return found if mode is None else replace(found, indirect_selection=mode)
        except ManifestError:
            raise
        except FileNotFoundError:
            raise ManifestError(
                f"there is no manifest at {path}: run `dbt parse` in the project, and copy its "
                "target/manifest.json there"
            ) from None
        except OSError as error:
            raise ManifestError(
                f"the manifest at {path} cannot be read: {error.strerror or error}; name the file "
                "target/manifest.json, and let this user read it"
            ) from None
        except (ValueError, RecursionError) as error:
            raise ManifestError(
                f"{path} is not JSON ({error}), perhaps because dbt was stopped while it wrote the "
                "file: run `dbt parse` again"
            ) from None

    @classmethod
    def from_json(
        cls, document: Any, name: str = "this document", *, packages: str = PACKAGES
    ) -> Manifest:
        """The manifest in decoded JSON. `packages` is the folder of the project's packages. Raises
        ManifestError, which calls the document `name`."""
        metadata = _metadata(document, name)
        project = _project_name(metadata)
        numbers = _NUMBERS.findall(text(metadata.get("dbt_version")) or "")
        version = tuple(map(int, numbers[:3])) or _NEWEST
        try:
            layout = Layout(project, packages) if project and version[0] >= _V2 else None
            nodes, circle = _nodes(document, layout)
        except (KeyError, TypeError, AttributeError) as error:
            raise ManifestError(
                f"{name} does not have the form of a manifest ({error!r}): run `dbt parse` again"
            ) from None
        if circle:
            raise ManifestError(
                f"{circle[0]} in {name} depends on itself, which dbt does not allow: run "
                "`dbt parse` again"
            )
        selectors: dict[str, JsonObject] = document.get("selectors") or {}
        return cls(
            nodes,
            project,
            version,
            selectors={name: found.get("definition") for name, found in selectors.items()},
            default_selector=next(
                (n for n, s in selectors.items() if s.get("default") is True), None
            ),
        )

    @property
    def is_v2(self) -> bool:
        """Whether dbt v2 wrote the manifest, which selects otherwise than dbt 1.x."""
        return self.dbt_version[0] >= _V2

    def _with_selectors(self, entries: Sequence[JsonObject]) -> Manifest:
        """The manifest with the entries of `selectors.yml`, without definitions that need Jinja."""
        every = ((entry["name"], entry.get("definition")) for entry in entries)
        plain = {name: found for name, found in every if "{{" not in f"{found}"}
        return replace(
            self,
            selectors={**self.selectors, **plain},
            default_selector=next((e["name"] for e in entries if e.get("default") is True), None),
        )

    def nearest_ancestors(self, within: Collection[str]) -> dict[str, tuple[str, ...]]:
        """The nearest ancestors of each of these nodes among these nodes.

        Edges lead through all other nodes: with a → b → c and b ephemeral, empty or not selected,
        the nearest ancestor of c is a. dbt runs nodes in this order too.
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

    def owner(self, test: str, within: Collection[str] | None = None) -> str | None:
        """The node that a test counts with, among these nodes or all nodes; None if it has none.

        For a generic test dbt names the node. Any other test counts with the last of its parents,
        because all that it reads exists only then.
        """
        node = self.nodes[test]
        parents = [p for p in node.parents if within is None or p in within]
        if node.attached_node in parents:
            return node.attached_node
        return parents[-1] if parents else None

    def tests(
        self, within: Collection[str], indirect_selection: IndirectSelection = "eager"
    ) -> dict[str, tuple[str, ...]]:
        """The tests that dbt runs with these nodes, by their owner among these nodes.

        `eager` takes each test that reads one of the nodes, `cautious` only the tests that read no
        other node, like dbt's `--indirect-selection`.
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


@contextmanager
def _without_garbage_collection() -> Generator[None]:
    """Turns off Python's search for garbage, which looks at the new dicts again and again.

    The search takes two thirds of the time for a manifest of 38 MB (benchmarks/manifest.py).
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _decode(artifact: bytes) -> Any:
    try:
        return orjson.loads(artifact)
    except ValueError:
        return json.loads(artifact)  # orjson refuses NaN and lone surrogates, which dbt writes


def _metadata(document: Any, name: str) -> JsonObject:
    metadata = document.get("metadata") if is_object(document) else None
    schema = text(metadata.get("dbt_schema_version")) if is_object(metadata) else None
    found = _SCHEMA.search(schema or "")
    if not is_object(metadata) or found is None:
        raise ManifestError(
            f"{name} is not an artifact of dbt: give the target/manifest.json that `dbt parse` "
            "writes"
        )
    kind, number = found[1], int(found[2])
    if kind != "manifest":
        raise ManifestError(
            f"{name} is dbt's {kind.replace('-', '_')}.json, not its manifest: give the "
            "target/manifest.json beside it"
        )
    if number < _OLDEST:
        version = text(metadata.get("dbt_version")) or "before 1.7"
        raise ManifestError(
            f"{name} is a manifest v{number} of dbt {version}, and dbt-relay reads v{_OLDEST} and "
            "later: run `dbt parse` with dbt 1.7 or later"
        )
    return metadata


def _project_name(metadata: JsonObject) -> str | None:
    return text(metadata.get("project_name"))


def _nodes(document: JsonObject, layout: Layout | None) -> tuple[dict[str, Node], list[str]]:
    """The nodes, parents before children, and the unique_ids of nodes in a circle."""
    raw: dict[str, JsonObject] = {}
    for section in _SECTIONS:
        found: dict[str, JsonObject] = document.get(section) or {}
        raw.update((u, node) for u, node in found.items() if _is_enabled(node))
    parents = {
        u: tuple(p for p in dict.fromkeys(_depends_on(node)) if p in raw) for u, node in raw.items()
    }
    children: dict[str, list[str]] = {u: [] for u in raw}
    for unique_id, of_node in parents.items():
        for parent in of_node:
            children[parent].append(unique_id)
    group_owners = _group_owners(document)
    missing = {u: len(of_node) for u, of_node in parents.items()}
    place = {u: number for number, u in enumerate(parents_first(missing, children))}
    nodes = {
        u: read_node(
            u,
            raw[u],
            tuple(sorted(parents[u], key=place.__getitem__)),
            tuple(children[u]),
            group_owners,
            of_v2=layout,
        )
        for u in place
    }
    return nodes, [u for u in raw if u not in place]


def _group_owners(document: JsonObject) -> dict[str, str | None]:
    groups: dict[str, JsonObject] = document.get("groups") or {}
    return {group["name"]: owner_name(group.get("owner")) for group in groups.values()}


def _is_enabled(node: JsonObject) -> bool:
    """A manifest has disabled nodes in another section, except tests of a disabled model."""
    config: JsonObject = node.get("config") or {}
    return config.get("enabled") is not False


def _depends_on(node: JsonObject) -> Collection[str]:
    depends_on = node.get("depends_on")
    found = depends_on.get("nodes") if is_object(depends_on) else None
    return found if is_array(found) else ()
