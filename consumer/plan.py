"""Which tasks stand for which nodes, and what comes before what."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from .selection import SelectionError, select

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .manifest import Manifest
    from .node import Node

Tests = Literal["task", "node", "none"]
"""The tests of a node: in a task of their own, in that of the node, or not shown."""

_BUILT: Final = frozenset({"model", "seed", "snapshot"})
_TESTED: Final = _BUILT | {"source"}
_NOT_IN_AN_ID: Final = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class NodeTask:
    """A task: `unique_ids` are the nodes it waits for, `node` the one it stands for or tests.

    `upstream` are the ids of the tasks right before it.
    """

    task_id: str
    node: Node
    unique_ids: tuple[str, ...]
    upstream: tuple[str, ...] = ()

    @property
    def is_test(self) -> bool:
        return self.node.unique_id not in self.unique_ids

    @property
    def selector(self) -> str:
        """What dbt's `--select` takes for the node alone."""
        return ".".join(self.node.fqn)


@dataclass(frozen=True, slots=True)
class _TestsOfNode:
    unit: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    """Of nothing but the node."""
    shared: tuple[str, ...] = ()
    """That read other nodes too."""

    @property
    def all(self) -> tuple[str, ...]:
        return self.unit + self.own + self.shared


def plan(
    manifest: Manifest,
    select_: str | Sequence[str] | None = None,
    exclude: str | Sequence[str] | None = None,
    *,
    tests: Tests = "task",
    taken: Iterable[str] = (),
) -> list[NodeTask]:
    """A task for each selected node that dbt builds, along dbt's own edges, parents first.

    Edges lead through what is not selected, or never run by itself (ephemeral and empty models),
    of which only the tests have a task, as those of sources. A unit test is in the task of its
    model, before which dbt runs it. `taken` are ids not to use. Raises SelectionError, also where
    nothing is selected.
    """
    chosen = _chosen(manifest, select_, exclude)
    ids = _task_ids(chosen, manifest.project_name, set(taken))
    built = [node for node in chosen if _is_built(node)]
    before = manifest.nearest([node.unique_id for node in built])
    tested = {} if tests == "none" else _tests(manifest, ids.keys(), exclude)
    tasks: list[NodeTask] = []
    gates: dict[str, str] = {}
    for node in built:
        task_id = ids[node.unique_id]
        of_node = tested.get(node.unique_id, _TestsOfNode())
        with_it, after_it = (of_node.own, of_node.shared) if tests == "node" else ((), ())
        if tests == "task":
            after_it = of_node.own + of_node.shared
        upstream = tuple(gates.get(parent, ids[parent]) for parent in before[node.unique_id])
        waits_for = (*of_node.unit, node.unique_id, *with_it)
        tasks.append(NodeTask(task_id, node, waits_for, upstream))
        if after_it:
            tasks.append(NodeTask(f"{task_id}.test", node, after_it, (task_id,)))
            # dbt builds what is after a node once the tests of that node alone have passed. A test
            # that reads another node too holds back only what is after both.
            if not of_node.shared:
                gates[node.unique_id] = f"{task_id}.test"
    for node in chosen:
        of_node = tested.get(node.unique_id)
        if of_node is not None and not _is_built(node):
            tasks.append(NodeTask(f"{ids[node.unique_id]}.test", node, of_node.all))
    return tasks


def _is_built(node: Node) -> bool:
    return node.resource_type in _BUILT and node.is_runnable


def _chosen(
    manifest: Manifest,
    select_: str | Sequence[str] | None,
    exclude: str | Sequence[str] | None,
) -> list[Node]:
    selection = select(manifest, select_, exclude)
    nodes = [manifest.nodes[unique_id] for unique_id in selection.unique_ids]
    if not any(_is_built(node) for node in nodes):
        terms = ", ".join(map(repr, selection.unmatched))
        raise SelectionError(
            f"no model, seed or snapshot is left by select={select_!r} and exclude={exclude!r}"
            + (f": nothing matches {terms}" if terms else "")
        )
    return [node for node in nodes if node.resource_type in _TESTED]


def _tests(
    manifest: Manifest, chosen: Iterable[str], exclude: str | Sequence[str] | None
) -> dict[str, _TestsOfNode]:
    left_out = set(select(manifest, exclude).unique_ids) if exclude else set[str]()
    found: dict[str, _TestsOfNode] = {}
    for owner, tests in manifest.tests(frozenset(chosen)).items():
        left = [manifest.nodes[unique_id] for unique_id in tests if unique_id not in left_out]
        data = [test for test in left if test.resource_type != "unit_test"]
        found[owner] = _TestsOfNode(
            unit=tuple(t.unique_id for t in left if t.resource_type == "unit_test"),
            own=tuple(t.unique_id for t in data if set(t.parents) <= {owner}),
            shared=tuple(t.unique_id for t in data if set(t.parents) > {owner}),
        )
    return found


def _task_ids(nodes: list[Node], project: str | None, taken: set[str]) -> dict[str, str]:
    """By unique_id, names that a person recognises: `orders`, `orders_v2`. Where two nodes have the
    name, it is the project's own that keeps it, and the package stands before the other's."""
    found: dict[str, str] = {}
    for node in sorted(nodes, key=lambda node: node.package_name != project):
        version = "" if node.version is None else f"_v{node.version}"
        table_of = f"{node.source_name}_" if node.resource_type == "source" else ""
        name = _clean(f"{table_of}{node.name}{version}")
        names = (name, f"{_clean(node.package_name)}_{name}", _clean(node.unique_id))
        found[node.unique_id] = next(n for n in names if n not in taken)
        taken.add(found[node.unique_id])
    return found


def _clean(name: str) -> str:
    return _NOT_IN_AN_ID.sub("_", name)
