"""The last task of a group: it has the result of the whole group."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator
from airflow.triggers.base import BaseTrigger, StartTriggerArgs, TaskSuccessEvent, TriggerEvent
from asgiref.sync import sync_to_async

from ..consumer.waiting.group import Group, judge
from ..consumer.waiting.look import Waiting
from ..records.schema import RunRecord, read_record
from ..records.task import TaskInstance
from ..records.xcom import xcom_value
from .errors import DbtRelayError
from .reader import TaskReader
from .sdk import CAN_START_FROM_TRIGGER
from .trigger import is_first_try

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ..consumer.waiting.decision import Decision


@dataclass(frozen=True, slots=True)
class GroupPlace:
    """Where the results of a group are, in each run of its DAG.

    `producer_map_index` is None for a producer with the index of the task that asks. `key_prefix`
    is the `--key-prefix` of `dbt-relay run`.
    """

    group_id: str
    producer_task_id: str
    producer_map_index: int | None = None
    key_prefix: str = ""

    def decision(self, task: Any, own: Any) -> Decision:
        """The decision on the group. `own` is the instance of `task`, which is in the group."""
        index = own.map_index if self.producer_map_index is None else self.producer_map_index
        waiting = Waiting((), TaskInstance(own.dag_id, own.run_id, self.producer_task_id, index))
        reader = TaskReader()
        record = read_record(xcom_value(reader.xcom(waiting, self.key_prefix + RunRecord.key)))
        return judge(
            self._group(task.dag),
            reader.states(own, self.group_id),
            reader.state(waiting),
            record if isinstance(record, RunRecord) else None,
        )

    def _group(self, dag: Any) -> Group:
        """The tasks of the group that wait for nodes."""
        nodes = {
            task.task_id: [ids] if isinstance(ids, str) else [*ids]
            for task in dag.tasks
            if task.task_id.startswith(f"{self.group_id}.")
            and (ids := getattr(task, "unique_id", None))
        }
        return Group({task_id: dag.get_task(task_id).upstream_task_ids for task_id in nodes}, nodes)


class DbtDone(BaseOperator):
    """Succeeds if every task of its group has succeeded or was skipped, and nothing else failed in
    dbt's run. A node that failed and has succeeded since, in its own task, is no failure.

    `dbt_task_group` makes this task. With `start_from_trigger` a task that succeeds needs no worker
    (Airflow 3.3 or newer).
    """

    ui_color = "#e8f7e4"

    def __init__(
        self, *, place: GroupPlace, start_from_trigger: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(trigger_rule="all_done", **kwargs)
        self.place = place
        if start_from_trigger and CAN_START_FROM_TRIGGER:
            self.start_from_trigger = True
            self.start_trigger_args = StartTriggerArgs(
                trigger_cls=DbtDoneTrigger.path,
                trigger_kwargs=DbtDoneTrigger(asdict(place)).serialize()[1],
                next_method="execute",
                timeout=None,
            )

    def execute(self, context: Any, event: Any = None) -> None:
        """Judge the group. Raises DbtRelayError if it has not succeeded."""
        decision = self.place.decision(self, context["ti"])
        if decision.action != "success":
            self.log.error("%s", decision.reason)
            raise DbtRelayError(decision.reason)
        self.log.info("%s", decision.reason)


class DbtDoneTrigger(BaseTrigger):
    """Judges the group once, in the triggerer. A failed group goes to a worker, which logs it.

    `place` is a GroupPlace as JSON.
    """

    path: ClassVar[str] = f"{__name__}.DbtDoneTrigger"

    def __init__(self, place: dict[str, Any]) -> None:
        super().__init__()
        self.place = place

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """The path of this class and the arguments that make an equal trigger."""
        return self.path, {"place": self.place}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        own: Any = self.task_instance
        decision = await sync_to_async(GroupPlace(**self.place).decision)(own.task, own)
        if decision.action == "success" and is_first_try(own):
            self.log.info("%s", decision.reason)
            yield TaskSuccessEvent()
        else:
            yield TriggerEvent(decision.action)
