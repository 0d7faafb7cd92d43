"""The sensors of a group, named by the kind of node that they wait for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .sensor import DbtNodeSensor

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ..consumer.graph.plan import NodeTask
    from ..consumer.waiting.decision import Decision
    from ..consumer.waiting.look import Waiting


class _GroupSensor(DbtNodeSensor):
    """Shows the compiled SQL of its nodes as the rendered field `compiled_sql`, if it ends in a
    worker, as each failed task does.

    :param compiled: the unique_ids of nodes, with the files into which dbt compiles them
    """

    template_fields: Collection[str] = (*DbtNodeSensor.template_fields, "compiled_sql")
    template_fields_renderers = {  # noqa: RUF012 - Airflow's form
        **DbtNodeSensor.template_fields_renderers,
        "compiled_sql": "sql",
    }

    def __init__(self, *, compiled: Sequence[tuple[str, str]] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.compiled_sql = ""
        self._compiled = compiled

    def _conclude(self, decision: Decision, waiting: Waiting, context: Any) -> bool:
        if decision.action in ("success", "fail"):
            self.compiled_sql = _joined(self._compiled)
            # Airflow then stores the rendered fields once more, after the task (3.0 to 3.3).
            self.overwrite_rtif_after_execution = bool(self.compiled_sql)
        return super()._conclude(decision, waiting, context)


class DbtModelSensor(_GroupSensor):
    """Waits for a model of dbt."""


class DbtSeedSensor(_GroupSensor):
    """Waits for a seed of dbt."""


class DbtSnapshotSensor(_GroupSensor):
    """Waits for a snapshot of dbt."""


class DbtTestSensor(_GroupSensor):
    """Waits for the tests of a dbt node."""


_OF_KIND: Final[dict[str, type[_GroupSensor]]] = {
    "model": DbtModelSensor,
    "seed": DbtSeedSensor,
    "snapshot": DbtSnapshotSensor,
}


def sensor_class(task: NodeTask) -> type[_GroupSensor]:
    """The sensor for a planned task."""
    return DbtTestSensor if task.is_test else _OF_KIND[task.node.resource_type]


def _joined(compiled: Sequence[tuple[str, str]]) -> str:
    """The SQL in those of the files that exist."""
    found: list[str] = []
    for unique_id, path in compiled:
        try:
            sql = Path(path).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            continue
        found.append(f"-- {unique_id}\n{sql}" if len(compiled) > 1 else sql)
    return "\n\n".join(found)
