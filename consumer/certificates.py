"""Certificates of nodes: a relation that was built, and whose tests have passed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .graph.node import TESTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..records.schema import NodeRecord
    from .graph.node import Node

_BUILT: Final = frozenset({"model", "seed", "snapshot"})
_QUOTES: Final = str.maketrans("", "", "\"`[]'")


def relation_of(node: Node) -> str | None:
    """The name of the relation that dbt builds for a node, without quotes: `shop.main.orders`.

    None for a node that builds none.
    """
    if node.resource_type not in _BUILT or not node.relation_name:
        return None
    return node.relation_name.translate(_QUOTES)


def certificate(record: NodeRecord, tests: int | None) -> dict[str, Any]:
    """What is known of a relation whose tests have passed, as JSON. `seconds` is dbt's time.

    `tests` is the number of the tests, None if it is not known.
    """
    response = record.adapter_response or {}
    known = {
        "unique_id": record.unique_id,
        "rows": response.get("rows_affected"),
        "seconds": record.execution_time,
        "tests": tests,
        "invocation_id": record.invocation_id,
    }
    return {name: value for name, value in known.items() if value is not None}


def certified(
    records: Mapping[str, NodeRecord], nodes: Mapping[str, Node]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The relations of a run with their certificates: the node and all of its tests in this run
    have succeeded. `records` are by unique_id, like `nodes`, which come from the manifest of the
    run.

    Without `nodes` nobody knows which tests a relation has. So one test that did not succeed leaves
    no relation certified.
    """
    every_test = [record for record in records.values() if record.resource_type in TESTS]
    for unique_id, record in records.items():
        node = nodes.get(unique_id)
        relation = _built(record) or (relation_of(node) if node is not None else None)
        if relation is None or not record.has_succeeded:
            continue
        tests = every_test
        if node is not None:
            tests = [records[u] for u in node.children if u in records and nodes[u].is_test]
        if all(test.has_succeeded for test in tests):
            yield relation, certificate(record, None if node is None else len(tests))


def unknown_nodes(records: Mapping[str, NodeRecord], nodes: Mapping[str, Node]) -> list[str]:
    """The unique_ids of relations and tests in a run that are not among `nodes`."""
    of_interest = (u for u, r in records.items() if r.resource_type in _BUILT | TESTS)
    return [unique_id for unique_id in of_interest if unique_id not in nodes]


def _built(record: NodeRecord) -> str | None:
    """The relation that dbt says it has built: a manifest may be of another target."""
    if record.resource_type not in _BUILT or not record.relation:
        return None
    return record.relation.translate(_QUOTES)
