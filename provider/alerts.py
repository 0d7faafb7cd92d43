"""Tells the owners of dbt's nodes what failed in a DAG run, and that it is green again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import Variable
from airflow.sdk.execution_time.xcom import XCom

from ..consumer.alerts import Trouble, news
from ..consumer.waiting.group import Group
from ..records.schema import NodeRecord, RunRecord, read_record
from ..records.xcom import xcom_key, xcom_value
from .node_sensors import DbtSourceSensor
from .sensor import DbtNodeSensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..records.schema import Record


def tell_owners(context: Any, send: Callable[[str, str], object]) -> None:
    """Call `send(owner, message)` once for each owner of a node that failed or was skipped for a
    failure, and once when the nodes of that owner are green again.

    Call it in a task after all nodes of the DAG, a teardown best. The owner of a node is the owner
    of its task. A node's task must be a DbtNodeSensor that is not mapped. What was told is kept in
    the Airflow Variable `dbt_relay_told.` and the DAG's id. If `send` raises an error, the next try
    of the task tells everything again.
    """
    run = _Run(context)
    variable = f"dbt_relay_told.{run.dag_id}"
    told: Any = Variable.get(variable, default={}, deserialize_json=True)
    found = news(run.troubles(), told, run.run_id)
    for owner, message in found.messages.items():
        send(owner, message)
    now = found.told_to_json()
    if now != told:
        Variable.set(variable, now, serialize_json=True)


class _Run:
    """A DAG run: how the tasks of dbt's nodes ended, and the records that they waited for."""

    def __init__(self, context: Any) -> None:
        own = context["ti"]
        self.dag_id: str = own.dag_id
        self.run_id: str = own.run_id
        self._dag = context["dag"]
        self._sensors = [task for task in self._dag.tasks if isinstance(task, DbtNodeSensor)]
        self._group = Group(
            {s.task_id: s.upstream_task_ids for s in self._sensors},
            {s.task_id: s.unique_ids for s in self._sensors},
        )
        ids = {name for s in self._sensors for name in (s.task_id, s.producer_task_id)}
        states = own.get_task_states(
            dag_id=self.dag_id, task_ids=sorted(ids), run_ids=[self.run_id]
        )
        self._states: dict[str, str] = states.get(self.run_id, {})

    def troubles(self) -> Iterator[Trouble]:
        """What is not green: nodes that a task waits for, then what failed besides."""
        waited_for: set[str] = set()
        for sensor in self._sensors:
            waited_for.update(sensor.unique_ids)
            if self._states.get(sensor.task_id) != "success":
                yield from self._of(sensor)
        for producer in {s.producer_task_id: s for s in self._sensors}.values():
            if self._states.get(producer.producer_task_id) == "failed":
                yield from self._besides(producer, waited_for)

    def _of(self, sensor: DbtNodeSensor) -> Iterator[Trouble]:
        """The troubles of a task that has not succeeded."""
        owner, state = sensor.owner, self._states.get(sensor.task_id)
        records = [self._record(sensor, xcom_key(i, sensor.key_prefix)) for i in sensor.unique_ids]
        nodes = [record for record in records if isinstance(record, NodeRecord)]
        found = [trouble for node in nodes if (trouble := Trouble.of(node, owner))]
        yield from found
        if found or state == "skipped":
            return
        if sources := self._stale_sources(sensor):
            yield from (Trouble(node, owner, sources[0]) for node in sensor.unique_ids)
            return
        producer = sensor.producer_task_id
        if not nodes and self._states.get(producer) in ("failed", "upstream_failed"):
            yield Trouble(
                sensor.task_id, owner, producer, "dbt did not run: see the log of its task"
            )
        elif state == "failed":
            yield Trouble(sensor.task_id, owner, sensor.task_id, "see the log of the task")

    def _stale_sources(self, sensor: DbtNodeSensor) -> list[str]:
        """The sources whose checks hold the task back: dbt has left its nodes out."""
        if self._states.get(sensor.task_id) != "upstream_failed":
            return []
        found = (
            self._dag.get_task(name) for name in self._group.causes(sensor.task_id, self._states)
        )
        return sorted(task.unique_ids[0] for task in found if isinstance(task, DbtSourceSensor))

    def _besides(self, sensor: DbtNodeSensor, waited_for: set[str]) -> Iterator[Trouble]:
        """The troubles of the task that runs dbt, for which no node's task stands: a hook, say."""
        owner = self._dag.get_task(sensor.producer_task_id).owner
        run = self._record(sensor, sensor.key_prefix + RunRecord.key)
        failed = run.failed if isinstance(run, RunRecord) and run.failed else []
        for unique_id in failed:
            if unique_id not in waited_for:
                record = self._record(sensor, xcom_key(unique_id, sensor.key_prefix))
                trouble = Trouble.of(record, owner) if isinstance(record, NodeRecord) else None
                if trouble is not None:
                    yield trouble
        if not failed:
            name = sensor.producer_task_id
            message = run.message if isinstance(run, RunRecord) else None
            yield Trouble(name, owner, name, message or "see the log of the task")

    def _record(self, sensor: DbtNodeSensor, key: str) -> Record | None:
        value = XCom.get_one(
            key=key,
            dag_id=self.dag_id,
            run_id=self.run_id,
            task_id=sensor.xcom_task_id or sensor.producer_task_id,
        )
        return read_record(xcom_value(value))
