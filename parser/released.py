"""What stays in memory of a node that has succeeded, once its record is kept elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from ..records.outcomes import outcome_of
from ..records.schema import NODE_CHECKS, NodeRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    Recall = Callable[[str], NodeRecord | None]
    """Finds the newest record of a unique_id; None if it is lost."""

Lasting = Literal["status", "name", "path", "execution_time", "total"]
"""A fact of a node that stays in memory."""

_NO_FACTS: Final = frozenset(
    {
        "attempt",
        "batches",
        "caused_by",
        "dbt_version",
        "invocation_id",
        "invocation_started_at",
        "outcome",
        "renewed",
        "resumed_from",
        "sequence",
        "unique_id",
    }
)
_FACTS: Final = tuple(name for name in NODE_CHECKS if name not in _NO_FACTS)
"""The fields of a record that dbt said of the node itself."""


class Released(NamedTuple):
    """The few facts that a run asks of all nodes at once, and the way to all others."""

    invocation_id: str | None
    status: str
    name: str | None
    path: str | None
    execution_time: float | None
    total: int | None
    recall: Recall

    @classmethod
    def of(cls, record: NodeRecord, recall: Recall) -> Released:
        return cls(
            record.invocation_id,
            record.status,
            record.name,
            record.path,
            record.execution_time,
            record.total,
            recall,
        )

    def record(self, unique_id: str) -> NodeRecord:
        """The record of the node; one without its facts if the record is lost."""
        found = self.recall(unique_id)
        if found is not None and found.invocation_id == self.invocation_id:
            return found
        outcome = outcome_of(self.status)
        return NodeRecord(unique_id=unique_id, status=self.status, outcome=outcome)


def facts_of(record: NodeRecord) -> dict[str, Any]:
    """The facts that make such a record, by the names of its fields."""
    values = {name: getattr(record, name) for name in _FACTS}
    return {name: value for name, value in values.items() if value is not None}
