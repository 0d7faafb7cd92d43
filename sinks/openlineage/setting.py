"""Where the events of a run stand in OpenLineage: namespaces, the job of dbt, the caller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .runs import Caller

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Setting:
    """Fixed when the run starts, so that each later delivery names everything alike.

    `namespace` and `job` are of the dbt command, which is the parent of its nodes. `datasets` is
    the namespace of the warehouse's tables; None if it is unknown, and then no event names tables.
    """

    namespace: str
    job: str
    datasets: str | None = None
    adapter: str | None = None
    project: str | None = None
    caller: Caller | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON without secrets, for the journal."""
        return {
            "namespace": self.namespace,
            "job": self.job,
            "datasets": self.datasets,
            "adapter": self.adapter,
            "project": self.project,
            "caller": self.caller.to_json() if self.caller is not None else None,
        }

    @classmethod
    def of_json(cls, value: Mapping[str, Any]) -> Setting:
        return cls(
            value["namespace"],
            value["job"],
            value["datasets"],
            value["adapter"],
            value["project"],
            Caller.of_json(value["caller"]),
        )
