"""The tasks of a group that stand for dbt's nodes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, TaskGroup

from ..consumer.certificates import relation_of
from .node_sensors import sensor_class
from .operator import DbtRelayOperator
from .sdk import STARTS_PODS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from os import PathLike

    from ..consumer.graph.node import Node
    from ..consumer.graph.plan import NodeTask
    from .node_options import NodeOptions
    from .sensor import DbtNodeSensor


@dataclass(frozen=True, slots=True)
class Starts:
    """Whether the first tasks and the later tasks of a group begin in the triggerer.

    A first task waits while dbt starts. A later task often finds its record there: a worker then
    ends it sooner than the triggerer, unless the worker is a pod that has to start.
    """

    first: bool
    later: bool

    @classmethod
    def of(cls, options: Mapping[str, Any], possible: bool) -> Starts:
        """By the option `start_from_trigger`, or by the executor of this Airflow."""
        given = options.get("start_from_trigger")
        if given is not None:
            return cls(given, given)
        return cls(possible, possible and STARTS_PODS)


@dataclass(frozen=True, slots=True)
class NodeTasks:
    """Makes a sensor for each planned task in `group`, or in groups in it.

    `common` has the keywords of all sensors, `options` the keywords of each. `nodes` are those of
    the manifest, `compiled` is dbt's folder `target/compiled`. With `assets` each relation that dbt
    builds is an asset. `check` is the task that checks the sources.
    """

    group: TaskGroup
    producer: Any
    common: Mapping[str, Any]
    options: NodeOptions
    nodes: Mapping[str, Node]
    compiled: Path
    starts: Starts
    assets: bool = False
    check: Any = None

    def make(self, planned: Sequence[NodeTask]) -> list[DbtNodeSensor]:
        """The sensors, in the order of dbt's edges."""
        producer = self.producer
        common: dict[str, Any] = {
            "run_again": isinstance(producer, DbtRelayOperator) and producer.can_select,
            **_retries(producer),
            **self.common,
        }
        certificates = _certificates(planned) if self.assets else {}
        sensors: dict[str, DbtNodeSensor] = {}
        groups: dict[tuple[str, ...], TaskGroup] = {(): self.group}
        for task in planned:
            sensor = self._sensor(
                task, _group(task.groups, groups), common, certificates.get(task.task_id)
            )
            sensor.set_upstream([sensors[task_id] for task_id in task.upstream] or producer)
            sensors[task.task_id] = sensor
        return [*sensors.values()]

    def _sensor(
        self,
        task: NodeTask,
        group: TaskGroup,
        common: Mapping[str, Any],
        certifies: tuple[str, str, int] | None,
    ) -> DbtNodeSensor:
        own = {**common, **self.options.of(task)}
        producer = self.check if task.is_check else self.producer
        if task.is_check:
            own["on_missing"] = "fail"
        elif self.check is not None:
            # dbt has left the node out if a source was stale. If the task starts all the same, the
            # source has been found fresh since.
            is_lenient = own.get("on_upstream_failed") == "skip"
            own.setdefault("on_missing", "skip" if is_lenient else "run")
        own["start_from_trigger"] = self.starts.later if task.upstream else self.starts.first
        own.setdefault("trigger_rule", _trigger_rule(own))
        if not task.upstream:
            own["trigger_rule"] = "always"
        if certifies is not None:
            own["outlets"] = [*own.get("outlets", ()), Asset(certifies[0])]
        sensor = sensor_class(task)(
            task_id=task.name,
            task_group=group,
            unique_id=task.unique_ids[0] if len(task.unique_ids) == 1 else task.unique_ids,
            node_name=task.selector,
            producer_task_id=producer.task_id,
            **own,
        )
        sensor.compiled = [
            (unique_id, f"{self.compiled}/{path}")
            for unique_id in task.unique_ids
            if (path := self.nodes[unique_id].compiled_path)
        ]
        sensor.certifies = certifies
        return sensor


def _certificates(planned: Iterable[NodeTask]) -> dict[str, tuple[str, str, int]]:
    """For the last task of each node that builds a relation: the relation, the node, its tests."""
    last: dict[str, str] = {}
    tests: dict[str, int] = {}
    relations: dict[str, str] = {}
    for task in planned:
        node = task.node.unique_id
        last[node] = task.task_id
        tests[node] = tests.get(node, 0) + sum(u != node for u in task.unique_ids)
        if relation := relation_of(task.node):
            relations[node] = relation
    return {last[node]: (name, node, tests[node]) for node, name in relations.items()}


def _group(names: tuple[str, ...], known: dict[tuple[str, ...], TaskGroup]) -> TaskGroup:
    """The group of these names. Adds the groups that are missing to `known`."""
    if names not in known:
        outer = _group(names[:-1], known)
        known[names] = TaskGroup(names[-1], parent_group=outer)
    return known[names]


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
    `on_upstream_failed="skip"` each task must look at its own record. A task that runs what dbt has
    left out must not do that after a skip."""
    if sensor.get("on_upstream_failed") == "skip":
        return "all_done"
    return "all_success" if sensor.get("on_missing") == "run" else "none_failed"
