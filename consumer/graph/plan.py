"""The tasks that stand for dbt's nodes, and their order."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from .methods import Search
from .names import terms_of
from .selection import Criterion, SelectionError, select

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence, Set

    from .manifest import IndirectSelection, Manifest
    from .node import Node
    from .selection import Selection

Tests = Literal["task", "node", "none"]
"""Where a node's tests are: in a task of their own, in the node's task, or in no task."""

_BUILT: Final = frozenset({"model", "seed", "snapshot"})
_TESTED: Final = _BUILT | {"source"}
_NOT_IN_AN_ID: Final = re.compile(r"[^A-Za-z0-9_-]+")
LONGEST_ID: Final = 250
"""Characters of a task_id in Airflow, including the ids of its groups."""
_TEST: Final = ".test"
_DIGEST: Final = 8


@dataclass(frozen=True, slots=True)
class NodeTask:
    """A task that waits for the nodes `unique_ids`. `node` is the node that they build or test.

    `upstream` has the ids of the tasks directly upstream. `selector` selects only the nodes
    `unique_ids` with dbt's `--select`: terms with spaces between them.
    """

    task_id: str
    node: Node
    unique_ids: tuple[str, ...]
    upstream: tuple[str, ...] = ()
    selector: str = ""

    @property
    def is_test(self) -> bool:
        return self.node.unique_id not in self.unique_ids


@dataclass(frozen=True, slots=True)
class _TestsOfNode:
    unit: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    """Data tests that read only the node."""
    shared: tuple[str, ...] = ()
    """Data tests that read other nodes too."""

    @property
    def all(self) -> tuple[str, ...]:
        return self.unit + self.own + self.shared

    def split(self, tests: Tests) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The data tests in the node's own task, and the data tests in a task after it."""
        if tests == "node":
            return self.own, self.shared
        return (), self.own + self.shared if tests == "task" else ()


def plan(
    manifest: Manifest,
    select_: str | Sequence[str] | None = None,
    exclude: str | Sequence[str] | None = None,
    *,
    tests: Tests = "task",
    taken: Iterable[str] = (),
    indirect_selection: IndirectSelection | None = None,
    longest_id: int = LONGEST_ID,
) -> list[NodeTask]:
    """A task for each selected node that dbt builds, along dbt's edges, parents first.

    Edges lead through nodes that are not selected, and through ephemeral and empty models, which
    dbt does not run. Of these models and of sources only the tests have a task. A unit test is in
    the task of its model, because dbt runs it before the model. `taken` has task_ids not to use,
    `longest_id` is the limit for a task_id. Without `indirect_selection` the project's flag decides
    about tests. Raises SelectionError, also if nothing is selected.
    """
    mode = indirect_selection or manifest.indirect_selection
    selected = select(manifest, select_, exclude, indirect_selection=mode)
    chosen = _chosen(manifest, selected, f"select={select_!r} and exclude={exclude!r}")
    ids = _task_ids(chosen, manifest.project_name, set(taken), longest_id - len(_TEST))
    built = [node for node in chosen if _is_built(node)]
    before = manifest.nearest_ancestors([node.unique_id for node in built])
    run = frozenset(selected.unique_ids)
    tested = {} if tests == "none" else _tests(manifest, ids.keys(), run)
    selectors = _Selectors(manifest)
    tasks: list[NodeTask] = []
    gates: dict[str, str] = {}
    for node in built:
        task_id = ids[node.unique_id]
        of_node = tested.get(node.unique_id, _TestsOfNode())
        with_it, after_it = of_node.split(tests)
        upstream = tuple(gates.get(parent, ids[parent]) for parent in before[node.unique_id])
        waits_for = (*of_node.unit, node.unique_id, *with_it)
        tasks.append(NodeTask(task_id, node, waits_for, upstream, selectors.of(waits_for)))
        if after_it:
            test_id = f"{task_id}{_TEST}"
            tasks.append(NodeTask(test_id, node, after_it, (task_id,), selectors.of(after_it)))
            # dbt builds the nodes downstream once the tests that read only this node have passed.
            # A test that reads another node too holds back only the nodes downstream of both.
            if not of_node.shared:
                gates[node.unique_id] = test_id
    for node in chosen:
        if not _is_built(node) and (only_tests := tested.get(node.unique_id)) is not None:
            test_id = f"{ids[node.unique_id]}{_TEST}"
            waits_for = only_tests.all
            tasks.append(NodeTask(test_id, node, waits_for, selector=selectors.of(waits_for)))
    return tasks


def _is_built(node: Node) -> bool:
    return node.resource_type in _BUILT and node.is_runnable


class _Selectors:
    """Finds the shortest terms that select given nodes alone."""

    def __init__(self, manifest: Manifest) -> None:
        self._nodes = manifest.nodes
        self._search = Search(manifest)

    def of(self, unique_ids: Iterable[str]) -> str:
        return " ".join(self._term(self._nodes[unique_id]) for unique_id in unique_ids)

    def _term(self, node: Node) -> str:
        terms = list(terms_of(node))
        return next((t for t in terms if self._selected(t) == {node.unique_id}), terms[-1])

    def _selected(self, term: str) -> set[str]:
        criteria = [Criterion.parse(part) for part in term.split(",")]
        return set[str].intersection(
            *(self._search.find(c.method, c.arguments, c.value) for c in criteria)
        )


def _chosen(manifest: Manifest, selected: Selection, asked: str) -> list[Node]:
    nodes = [manifest.nodes[unique_id] for unique_id in selected.unique_ids]
    if not any(_is_built(node) for node in nodes):
        terms = ", ".join(map(repr, selected.unmatched))
        raise SelectionError(
            f"no model, seed or snapshot is left by {asked}"
            + (f": nothing matches {terms}" if terms else "")
        )
    return [node for node in nodes if node.resource_type in _TESTED]


def _tests(manifest: Manifest, chosen: Iterable[str], run: Set[str]) -> dict[str, _TestsOfNode]:
    """The tests that dbt runs, by the node that each counts with."""
    found: dict[str, _TestsOfNode] = {}
    for owner, tests in manifest.tests(frozenset(chosen)).items():
        left = [manifest.nodes[unique_id] for unique_id in tests if unique_id in run]
        if not left:
            continue
        data = [test for test in left if test.resource_type != "unit_test"]
        found[owner] = _TestsOfNode(
            unit=tuple(t.unique_id for t in left if t.resource_type == "unit_test"),
            own=tuple(t.unique_id for t in data if set(t.parents) <= {owner}),
            shared=tuple(t.unique_id for t in data if set(t.parents) > {owner}),
        )
    return found


def _task_ids(
    nodes: list[Node], project: str | None, taken: set[str], longest: int
) -> dict[str, str]:
    """The task_ids by unique_id, as names that a person recognises: `orders`, `orders_v2`.

    If two nodes have the same name, the node of the root project keeps it, and the other gets its
    package as a prefix.
    """
    found: dict[str, str] = {}
    for node in sorted(nodes, key=lambda node: node.package_name != project):
        version = "" if node.version is None else f"_v{node.version}"
        table_of = f"{node.source_name}_" if node.resource_type == "source" else ""
        name = _clean(f"{table_of}{node.name}{version}")
        names = (name, f"{_clean(node.package_name)}_{name}", _clean(node.unique_id))
        fits = len(name) <= longest
        free = (n for n in names if fits and n not in taken and len(n) <= longest)
        found[node.unique_id] = next(free, None) or _digested(name, node.unique_id, longest)
        taken.add(found[node.unique_id])
    return found


def _digested(name: str, unique_id: str, longest: int) -> str:
    """The beginning of a name that is too long or taken, with a digest that makes it unique."""
    digest = hashlib.sha256(unique_id.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    return f"{name[: max(0, longest - _DIGEST - 1)]}_{digest}"


def _clean(name: str) -> str:
    return _NOT_IN_AN_ID.sub("_", name)
