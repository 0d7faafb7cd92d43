"""The order in which a run took its nodes: which node had to end before which could start.

A graph is a dict that maps each node to its parents. dbt's manifest has more nodes than a run, and
fewer edges: `dbt build` also waits for the tests of a parent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..topology import parents_first

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    Graph = Mapping[str, Sequence[str]]

_DATA_TEST: Final = "test."
_UNIT_TEST: Final = "unit_test."


def is_test(unique_id: str) -> bool:
    return unique_id.startswith((_DATA_TEST, _UNIT_TEST))


def in_order(parents: Graph) -> Iterator[str]:
    """The nodes, parents before their children. The nodes of a circle are left out."""
    missing = {node: sum(p in parents for p in of_node) for node, of_node in parents.items()}
    return parents_first(missing, children_of(parents))


def children_of(parents: Graph) -> dict[str, list[str]]:
    """The children of each node of the graph."""
    children: dict[str, list[str]] = {node: [] for node in parents}
    for node, of_node in parents.items():
        for parent in of_node:
            if parent in children:
                children[parent].append(node)
    return children


def between(parents: Graph, chosen: Collection[str]) -> dict[str, tuple[str, ...]]:
    """The nearest ancestors of each chosen node among the chosen nodes.

    Edges lead through all other nodes: with a → b → c and b ephemeral, or not selected, the nearest
    ancestor of c is a. A chosen node that the graph lacks has none.
    """
    within = frozenset(chosen)
    nearest: dict[str, tuple[str, ...]] = {}
    for node in in_order(parents):
        found: dict[str, None] = {}
        for parent in parents[node]:
            found.update(dict.fromkeys((parent,) if parent in within else nearest.get(parent, ())))
        nearest[node] = tuple(found)
    return {node: nearest.get(node, ()) for node in chosen}


def as_built(parents: Graph) -> dict[str, tuple[str, ...]]:
    """The graph in the order of `dbt build`: a node waits for the tests of its ancestors too.

    A data test runs before each node that has all nodes of the test among its ancestors. A unit
    test runs before the model that it tests, once that model's parents have ended.
    """
    units = {test: of_test for test, of_test in parents.items() if test.startswith(_UNIT_TEST)}
    built = {node: dict.fromkeys(p for p in of_node) for node, of_node in parents.items()}
    for test, of_test in units.items():
        built[test] = dict.fromkeys(p for model in of_test for p in parents.get(model, ()))
        for model in of_test:
            if model in built:
                built[model][test] = None
    for node, tests in _tests_before(parents).items():
        built[node].update(dict.fromkeys(tests))
    return {node: tuple(of_node) for node, of_node in built.items()}


def _tests_before(parents: Graph) -> dict[str, list[str]]:
    """The data tests that each node waits for, but for those that a parent has waited for.

    Sets of nodes are the bits of an integer: a project may have 5,000 nodes and as many tests.
    """
    nodes = [node for node in in_order(parents) if not is_test(node)]
    bit = {node: 1 << place for place, node in enumerate(nodes)}
    above: dict[str, int] = {}
    for node in nodes:
        above[node] = 0
        for parent in parents[node]:
            above[node] |= above.get(parent, 0) | bit.get(parent, 0)
    children = children_of(parents)
    before: dict[str, list[str]] = {}
    for test, of_test in parents.items():
        if not test.startswith(_DATA_TEST) or not of_test:
            continue
        tested = sum(bit[node] for node in {*of_test} if node in bit)
        # With one tested node its children are the first that have it above them.
        within = children.get(of_test[0], ()) if len({*of_test}) == 1 else nodes
        for node in within:
            is_below = node in bit and above[node] & tested == tested
            if is_below and not any(above.get(p, 0) & tested == tested for p in parents[node]):
                before.setdefault(node, []).append(test)
    return before
