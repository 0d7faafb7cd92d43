"""The tasks that stand for dbt's nodes, and their order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from .criterion import criteria_of
from .freshness import Freshness
from .ids import TEST, Place, places
from .methods import SelectionError
from .methods_v2 import search_of
from .names import terms_of
from .selection import select as selection_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence, Set

    from .ids import GroupBy
    from .manifest import IndirectSelection, Manifest
    from .node import Node

Tests = Literal["task", "group", "node", "none"]
"""Where a node's tests are: in a task of their own, in a task of their own that shares a group with
the node's task, in the node's task, or in no task."""

_BUILT: Final = frozenset({"model", "seed", "snapshot"})
_TESTED: Final = _BUILT | {"source"}
LONGEST_ID: Final = 250
"""Characters of a task_id in Airflow, including the ids of its groups."""


@dataclass(frozen=True, slots=True)
class NodeTask:
    """A task that waits for the nodes `unique_ids`. `node` is the node that they build or test, or
    the source that is checked.

    `task_id` begins with the names of `groups`, the outer first, with dots between them. `upstream`
    has the ids of the tasks directly upstream. `selector` selects only the nodes
    `unique_ids` with dbt's `--select`: terms with spaces between them.
    """

    task_id: str
    node: Node
    unique_ids: tuple[str, ...]
    upstream: tuple[str, ...] = ()
    selector: str = ""
    groups: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The task_id without the names of the groups."""
        return self.task_id[len(".".join((*self.groups, ""))) :]

    @property
    def is_test(self) -> bool:
        return self.node.unique_id not in self.unique_ids

    @property
    def is_check(self) -> bool:
        """Whether the task stands for the freshness of a source."""
        return self.node.resource_type == "source" and not self.is_test


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
        return (), self.own + self.shared if tests in ("task", "group") else ()


def plan(
    manifest: Manifest,
    select: str | Sequence[str] | None = None,
    exclude: str | Sequence[str] | None = None,
    *,
    tests: Tests = "task",
    taken: Iterable[str] = (),
    indirect_selection: IndirectSelection | None = None,
    longest_id: int = LONGEST_ID,
    group_by: GroupBy | None = None,
    task_id: Callable[[Node], str] | None = None,
    source_freshness: bool = False,
) -> list[NodeTask]:
    """A task for each selected node that dbt builds, along dbt's edges, parents first.

    Edges lead through nodes that are not selected, and through ephemeral and empty models, which
    dbt does not run. Of these models and of sources only the tests have a task. A unit test is in
    the task of its model, because dbt runs it before the model. `taken` has task_ids not to use,
    `longest_id` is the limit for a task_id. Without `indirect_selection` the project's flag decides
    about tests. `group_by` and `task_id` are those of `places`. With `source_freshness` the first
    tasks are those of the sources that dbt checks, upstream of what reads them. Raises
    SelectionError, also if nothing is selected, and TaskIdError.
    """
    run, chosen = _chosen(manifest, select, exclude, indirect_selection)
    room = longest_id - len(TEST)
    built = {node.unique_id: node for node in chosen if _is_built(node)}
    fresh = Freshness.of(manifest, built, exclude) if source_freshness else Freshness()
    sources = [manifest.nodes[unique_id] for unique_id in fresh.sources]
    named = [*chosen, *(source for source in sources if source not in chosen)]
    project = manifest.project_name
    where = places(named, project, set(taken), room, group_by=group_by, task_id=task_id)
    before = fresh.with_sources(manifest.nearest_ancestors(built))
    tested = {} if tests == "none" else _tests(manifest, [n.unique_id for n in chosen], run)
    selectors = _Selectors(manifest)
    tasks = [_task(where[s.unique_id], s, (s.unique_id,), (), selectors) for s in sources]
    gates = {task.node.unique_id: task.task_id for task in tasks}
    for node in built.values():
        of_node = tested.get(node.unique_id, _TestsOfNode())
        with_it, after_it = of_node.split(tests)
        place, place_of_tests = where[node.unique_id].divided(
            into_group=tests == "group" and bool(after_it)
        )
        upstream = tuple(gates[parent] for parent in before[node.unique_id])
        waits_for = (*of_node.unit, node.unique_id, *with_it)
        tasks.append(_task(place, node, waits_for, upstream, selectors))
        gates[node.unique_id] = place.task_id
        if after_it:
            tasks.append(_task(place_of_tests, node, after_it, (place.task_id,), selectors))
            # dbt builds the nodes downstream once the tests that read only this node have passed.
            # A test that reads another node too holds back only the nodes downstream of both.
            if not of_node.shared:
                gates[node.unique_id] = place_of_tests.task_id
    for node in chosen:
        if not _is_built(node) and (only_tests := tested.get(node.unique_id)) is not None:
            _, place = where[node.unique_id].divided()
            tasks.append(_task(place, node, only_tests.all, (), selectors))
    return _holding_back_tests(manifest, fresh, tasks) if fresh.sources else tasks


def _holding_back_tests(
    manifest: Manifest, fresh: Freshness, tasks: Sequence[NodeTask]
) -> list[NodeTask]:
    """The tasks, in which a task of tests also waits for the nodes that the tests read and that
    another source may hold back than those of the tested node."""
    own = {task.node.unique_id: task.task_id for task in tasks if not task.is_test}
    tests = [unique_id for task in tasks if task.is_test for unique_id in task.unique_ids]
    before = fresh.with_sources(manifest.nearest_ancestors([*own, *tests]))

    def waiting(task: NodeTask) -> NodeTask:
        known = [task.node.unique_id] if task.upstream else []
        read = dict.fromkeys(u for test in task.unique_ids for u in before[test])
        others = (own[u] for u in read if fresh.new([u], known))
        return replace(task, upstream=(*task.upstream, *others))

    found = [waiting(task) if task.is_test else task for task in tasks]
    # No task is downstream of a test that reads several nodes.
    return sorted(found, key=lambda task: task.is_test and len(task.upstream) > 1)


def _task(
    place: Place,
    node: Node,
    unique_ids: tuple[str, ...],
    upstream: tuple[str, ...],
    selectors: _Selectors,
) -> NodeTask:
    selector = selectors.of(unique_ids)
    return NodeTask(place.task_id, node, unique_ids, upstream, selector, place.groups)


def _is_built(node: Node) -> bool:
    return node.resource_type in _BUILT and node.is_runnable


class _Selectors:
    """Finds the shortest terms that select given nodes alone."""

    def __init__(self, manifest: Manifest) -> None:
        self._nodes = manifest.nodes
        self._is_v2 = manifest.is_v2
        self._search = search_of(manifest)

    def of(self, unique_ids: Iterable[str]) -> str:
        return " ".join(self._term(self._nodes[unique_id]) for unique_id in unique_ids)

    def _term(self, node: Node) -> str:
        terms = list(terms_of(node))
        return next((t for t in terms if self._selected(t) == {node.unique_id}), terms[-1])

    def _selected(self, term: str) -> set[str]:
        criteria = criteria_of(term, is_v2=self._is_v2)
        return set[str].intersection(
            *(self._search.find(c.method, c.arguments, c.value) for c in criteria)
        )


def _chosen(
    manifest: Manifest,
    select: str | Sequence[str] | None,
    exclude: str | Sequence[str] | None,
    mode: IndirectSelection | None,
) -> tuple[Set[str], list[Node]]:
    """The unique_ids that dbt selects, and the nodes among them that may have a task."""
    flag = manifest.indirect_selection
    selected = selection_of(manifest, select, exclude, indirect_selection=mode, flag=flag)
    nodes = [manifest.nodes[unique_id] for unique_id in selected.unique_ids]
    if not any(_is_built(node) for node in nodes):
        terms = ", ".join(map(repr, selected.unmatched))
        raise SelectionError(
            f"select={select!r} and exclude={exclude!r} selects no model, seed or snapshot"
            + (f": nothing matches {terms}" if terms else "")
        )
    chosen = [node for node in nodes if node.resource_type in _TESTED]
    return frozenset(selected.unique_ids), chosen


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
