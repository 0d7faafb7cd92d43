"""The sensors of a group, named by the kind of node that they wait for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow.sdk import Asset

from .assets import certify
from .sensor import DbtNodeSensor

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from ..consumer.graph.plan import NodeTask
    from ..consumer.waiting.decision import Decision
    from ..consumer.waiting.look import Waiting


class _GroupSensor(DbtNodeSensor):
    """Shows the compiled SQL of its nodes as the rendered field `compiled_sql`, if it ends in a
    worker, as each failed task does.

    `compiled` has the unique_ids of the nodes, with the files into which dbt compiles them.
    `certifies` has a relation, its node and the number of its tests, for the task that ends last of
    them. The relation is an asset, and an outlet of the task.
    """

    template_fields: Collection[str] = (*DbtNodeSensor.template_fields, "compiled_sql")
    template_fields_renderers = {  # noqa: RUF012 - Airflow's form
        **DbtNodeSensor.template_fields_renderers,
        "compiled_sql": "sql",
    }

    # No __init__: Airflow's wrapper around each makes a large DAG slower to parse.
    compiled_sql: str = ""
    compiled: Sequence[tuple[str, str]] = ()
    certifies: tuple[str, str, int] | None = None

    def _conclude(self, decision: Decision, waiting: Waiting, context: Any) -> bool:
        if decision.action in ("success", "fail"):
            self.compiled_sql = _joined(self.compiled)
            # Airflow then stores the rendered fields once more, after the task (3.0 to 3.3).
            self.overwrite_rtif_after_execution = bool(self.compiled_sql)
        if decision.action == "success" and self.certifies is not None:
            relation, unique_id, tests = self.certifies
            certify(context, Asset(relation), unique_id, tests, waiting)
        return super()._conclude(decision, waiting, context)


class DbtModelSensor(_GroupSensor):
    """Waits for a model of dbt."""


class DbtSeedSensor(_GroupSensor):
    """Waits for a seed of dbt."""


class DbtSnapshotSensor(_GroupSensor):
    """Waits for a snapshot of dbt."""


class DbtSourceSensor(_GroupSensor):
    """Waits for the check of a source's freshness."""


class DbtTestSensor(_GroupSensor):
    """Waits for the tests of a dbt node."""


_OF_KIND: Final[dict[str, type[_GroupSensor]]] = {
    "model": DbtModelSensor,
    "seed": DbtSeedSensor,
    "snapshot": DbtSnapshotSensor,
    "source": DbtSourceSensor,
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
