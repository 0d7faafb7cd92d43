"""Certificates of nodes: a relation that was built, and whose tests have passed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..records.schema import NodeRecord
    from .graph.manifest import Manifest
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


def certificate(record: NodeRecord, tests: int) -> dict[str, Any]:
    """What is known of a relation whose `tests` have passed, as JSON. `seconds` is dbt's time."""
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
    records: Mapping[str, NodeRecord], manifest: Manifest
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The relations of a run with their certificates: the node and all of its tests in this run
    have succeeded. `records` are by unique_id."""
    for unique_id, record in records.items():
        node = manifest.nodes.get(unique_id)
        relation = relation_of(node) if node is not None else None
        if node is None or relation is None or not record.has_succeeded:
            continue
        tests = [records[u] for u in node.children if u in records and manifest.nodes[u].is_test]
        if all(test.has_succeeded for test in tests):
            yield relation, certificate(record, len(tests))
