"""Records of nodes, as dbt's words for how they ended make them."""

from __future__ import annotations

from typing import Any

from dbt_relay.records.outcomes import outcome_of
from dbt_relay.records.schema import NodeRecord


def node(unique_id: str, status: str = "success", **fields: Any) -> NodeRecord:
    """The record of a node that ended with dbt's `status`."""
    return NodeRecord(
        unique_id=unique_id, status=status, **{"outcome": outcome_of(status), **fields}
    )
