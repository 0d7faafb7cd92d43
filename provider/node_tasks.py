"""The tasks of a group that stand for dbt's nodes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .node_options import node_options
from .node_sensors import sensor_class
from .operator import DbtRelayOperator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from os import PathLike

    from ..consumer.graph.node import Node
    from ..consumer.graph.plan import NodeTask
    from .node_options import Customize
    from .sensor import DbtNodeSensor


@dataclass(frozen=True, slots=True)
class NodeTasks:
    """Makes a sensor for each planned task. `options` are the sensors' common keywords, `nodes` the
    nodes of the manifest, `compiled` dbt's folder `target/compiled`."""

    producer: Any
    options: Mapping[str, Any]
    nodes: Mapping[str, Node]
    compiled: Path
    outlets: Callable[[Node], Iterable[Any]] | None = None
    customize: Customize | None = None

    def make(self, planned: Iterable[NodeTask]) -> list[DbtNodeSensor]:
        """The sensors, in the order of dbt's edges."""
        producer = self.producer
        common: dict[str, Any] = {
            "run_again": isinstance(producer, DbtRelayOperator) and producer.can_select,
            **_retries(producer),
            **self.options,
        }
        sensors: dict[str, DbtNodeSensor] = {}
        for task in planned:
            sensor = self._sensor(task, common)
            sensor.set_upstream([sensors[task_id] for task_id in task.upstream] or producer)
            sensors[task.task_id] = sensor
        return [*sensors.values()]

    def _sensor(self, task: NodeTask, common: Mapping[str, Any]) -> DbtNodeSensor:
        own: dict[str, Any] = {**common, **node_options(task, self.customize)}
        own.setdefault("trigger_rule", _trigger_rule(own))
        if not task.upstream:
            own["trigger_rule"] = "always"
        if self.outlets and not task.is_test:
            own.setdefault("outlets", list(self.outlets(task.node)))
        return sensor_class(task)(
            task_id=task.task_id,
            unique_id=task.unique_ids[0] if len(task.unique_ids) == 1 else task.unique_ids,
            node_name=task.selector,
            producer_task_id=self.producer.task_id,
            compiled=[
                (unique_id, f"{self.compiled}/{path}")
                for unique_id in task.unique_ids
                if (path := self.nodes[unique_id].compiled_path)
            ],
            **own,
        )


def compiled_folder(manifest: str | PathLike[str]) -> Path:
    """dbt's folder `target/compiled`. The manifest lies in `target`, or as a copy beside it."""
    beside = Path(manifest).absolute().parent
    return beside / "target/compiled" if (beside / "target").is_dir() else beside / "compiled"


def _retries(producer: Any) -> dict[str, Any]:
    """The producer's retries, for each sensor too: a retry of dbt may mend the node."""
    names = ("retries", "retry_delay") if getattr(producer, "retries", None) else ()
    return {name: getattr(producer, name) for name in names}


def _trigger_rule(sensor: Mapping[str, Any]) -> str:
    """Airflow itself marks the tasks downstream of a failed node, which costs no look. With
    `on_upstream_failed="skip"` each task must look at its own record."""
    return "all_done" if sensor.get("on_upstream_failed") == "skip" else "none_failed"
