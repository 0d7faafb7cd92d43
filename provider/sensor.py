"""A sensor that waits for a dbt node and takes over its result."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NoReturn, get_args

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    conf,
)

from ..consumer.waiting.decision import Decision, OnMissing, OnUpstreamFailed, Policy
from ..consumer.waiting.look import Waiting, look
from ..records.task import TaskInstance
from .airflow_version import CAN_START_FROM_TRIGGER
from .dbt_call import Call, environment_of
from .errors import DbtNodeFailedError
from .operator import DbtRelayOperator
from .reader import TaskReader
from .renewal import Renewal
from .trigger import OWN_INDEX, SETTLED, DbtNodeTrigger

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from airflow.triggers.base import StartTriggerArgs


class DbtNodeSensor(BaseSensorOperator):
    """Waits for a dbt node that another task of the same DAG run builds with `dbt-relay run`, and
    succeeds, is skipped or fails with the node. See docs/reference/decisions.md.

    The modes are `poke`, `reschedule` and `deferrable=True`. In each mode the task's log has the
    node's result once: dbt's line of a success, or the exception with dbt's text.

    :param unique_id: the node, `model.jaffle.orders`, or several nodes: then one failed node fails
        the task (templated)
    :param producer_task_id: the task that runs dbt, with the ids of its groups (templated)
    :param producer_map_index: the index of the producer, if it is mapped. By default the sensor's
        own index
    :param xcom_task_id: the task that holds the records, if `dbt-relay run` has `--xcom-task-id`
    :param key_prefix: the `--key-prefix` of `dbt-relay run`
    :param on_missing: the result for a node that was not in the run: `fail`, `skip` or `success`
    :param on_upstream_failed: the result for a node that dbt skipped after a failure: `fail` or
        `skip`
    :param run_again: whether a later try of this task, once the producer has ended, runs the
        producer's command for these nodes alone and renews their records. The producer must be a
        DbtRelayOperator
    :param fallback: a bash command to run instead, for another producer (templated;
        `{{ task.node_name }}` selects the node). A `dbt-relay run` in it renews the node's record
    :param node_name: the value for `--select`. By default the end of the first `unique_id`, which
        also selects a package or a folder of that name (`dbt_task_group` passes a better one)
    :param fallback_env: variables for the fallback, besides those of the worker (templated)
    :param fallback_cwd: the folder of the fallback (templated)
    :param poke_interval: seconds between two looks, at least 10 in the mode `reschedule`: Airflow
        may fail a task that returns to a worker sooner
    :param start_from_trigger: begin in the triggerer. A task that succeeds or is skipped then needs
        no worker (Airflow 3.3 or newer, with `deferrable`; the task must not be mapped)
    """

    template_fields: Collection[str] = (
        "unique_id",
        "producer_task_id",
        "fallback",
        "fallback_env",
        "fallback_cwd",
    )
    template_fields_renderers = {"fallback": "bash", "fallback_env": "json"}  # noqa: RUF012 - Airflow's form
    ui_color = "#fff1eb"

    def __init__(
        self,
        *,
        unique_id: str | Sequence[str],
        producer_task_id: str,
        producer_map_index: int | None = None,
        xcom_task_id: str | None = None,
        key_prefix: str = "",
        on_missing: OnMissing = "fail",
        on_upstream_failed: OnUpstreamFailed = "fail",
        run_again: bool = False,
        fallback: str | None = None,
        node_name: str | None = None,
        fallback_env: Mapping[str, str] | None = None,
        fallback_cwd: str | None = None,
        poke_interval: timedelta | float = 2,
        deferrable: bool | None = None,
        start_from_trigger: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        _check("on_missing", on_missing, get_args(OnMissing))
        _check("on_upstream_failed", on_upstream_failed, get_args(OnUpstreamFailed))
        if self.reschedule:
            self.poke_interval = max(self.poke_interval, SETTLED)
        self.unique_id = unique_id
        self.producer_task_id = producer_task_id
        self.producer_map_index = producer_map_index
        self.xcom_task_id = xcom_task_id
        self.key_prefix = key_prefix
        self.on_missing: OnMissing = on_missing
        self.on_upstream_failed: OnUpstreamFailed = on_upstream_failed
        self.run_again = run_again
        self.fallback = fallback
        self.node_name = node_name or _first(unique_id).split(".", 2)[-1]
        self.fallback_env = fallback_env
        self.fallback_cwd = fallback_cwd
        if deferrable is None:
            deferrable = conf.getboolean("operators", "default_deferrable", fallback=False)
        self.deferrable = deferrable
        if start_from_trigger and CAN_START_FROM_TRIGGER and self._may_start_from_trigger:
            self.start_from_trigger = True
            self.start_trigger_args = self._start_trigger_args()
        self._known: dict[str, Decision] = {}
        self._renewal: Renewal | None = None
        self._was_cleared: bool | None = None

    def execute(self, context: Any) -> Any:
        """Wait in this process, or in the triggerer."""
        if self.dag and not self.dag.has_task(self.producer_task_id):
            raise AirflowFailException(
                f"there is no task {self.producer_task_id!r} in this DAG to wait for: give the id "
                "of the task that runs dbt as producer_task_id, the ids of its groups included"
            )
        if not self.deferrable:
            return super().execute(context)
        if not self.poke(context):
            self._defer(context, self._give_up_at)
        return None

    def poke(self, context: Any) -> bool:
        """Look once. Returns True when the node has succeeded."""
        if self._was_cleared is None:
            self._was_cleared = self._runs_nodes and self._cleared_since_the_end(context)
        waiting = self._waiting(context)
        return self._conclude(look(waiting, TaskReader(), self._known), waiting, context)

    def resume(self, context: Any, event: dict[str, Any], until: str | None = None) -> None:
        """Continue with the decision of the trigger."""
        self._was_cleared = event["ended_first"] and _is_cleared(context["ti"], self.retries)
        decision = Decision(event["action"], event["reason"])
        if decision.action == "fail" and self._was_cleared and self._runs_nodes:
            has_succeeded = self.poke(context)
        else:
            has_succeeded = self._conclude(decision, self._waiting(context), context)
        if not has_succeeded:
            self._defer(context, datetime.fromisoformat(until) if until else self._give_up_at)

    def on_kill(self) -> None:
        """Stop the command that runs the node."""
        if self._renewal is not None:
            self._renewal.stop()

    @property
    def _may_start_from_trigger(self) -> bool:
        """Whether nothing has to happen in a worker before the first look."""
        texts = (*self._unique_ids, self.producer_task_id)
        is_plain = not any("{" in text for text in texts)
        return bool(self.deferrable) and is_plain and not self.on_execute_callback

    def _start_trigger_args(self) -> StartTriggerArgs:
        index = OWN_INDEX if self.producer_map_index is None else self.producer_map_index
        producer = TaskInstance("", "", self.producer_task_id, index)
        return DbtNodeTrigger.start_args(
            self._waiting_for(producer),
            self.poke_interval,
            self._may_end_in_trigger,
            timedelta(seconds=self.timeout),
        )

    @property
    def _give_up_at(self) -> datetime:
        return datetime.now(timezone.utc) + timedelta(seconds=self.timeout)

    @property
    def _may_end_in_trigger(self) -> bool:
        """Whether a task that succeeds or is skipped needs nothing of a worker."""
        return not (self.outlets or self.on_success_callback or self.on_skipped_callback)

    def _cleared_since_the_end(self, context: Any) -> bool:
        """Whether somebody cleared this task after the producer had ended, at the first look."""
        own = context["ti"]
        is_first = not self.reschedule or own.get_first_reschedule_date(context) is None
        if not (is_first and _is_cleared(own, self.retries)):
            return False
        return TaskReader().has_ended(self._waiting(context))

    def _defer(self, context: Any, until: datetime) -> NoReturn:
        left = until - datetime.now(timezone.utc)
        if left <= timedelta(0):
            raise AirflowSensorTimeout(f"{self.node_name} has not ended after {self.timeout:.0f} s")
        self.defer(
            trigger=DbtNodeTrigger(
                self._waiting(context).to_json(), self.poke_interval, self._may_end_in_trigger
            ),
            method_name="resume",
            kwargs={"until": until.isoformat()},
            timeout=left,
        )

    @property
    def _unique_ids(self) -> tuple[str, ...]:
        return (self.unique_id,) if isinstance(self.unique_id, str) else tuple(self.unique_id)

    def _waiting(self, context: Any) -> Waiting:
        own = context["ti"]
        logical_date = context["dag_run"].logical_date
        producer = TaskInstance(
            own.dag_id, own.run_id, self.producer_task_id, self._map_index(own.map_index)
        )
        return replace(
            self._waiting_for(producer),
            logical_date=logical_date.isoformat() if logical_date else None,
            attempt=own.try_number,
            was_cleared=bool(self._was_cleared),
        )

    def _waiting_for(self, producer: TaskInstance) -> Waiting:
        return Waiting(
            unique_ids=self._unique_ids,
            producer=producer,
            xcom_task_id=self.xcom_task_id,
            key_prefix=self.key_prefix,
            policy=Policy(self.on_missing, self.on_upstream_failed, self._runs_nodes),
        )

    def _map_index(self, own: int) -> int:
        """The producer's index. A mapped sensor may wait for a producer that is not mapped."""
        if self.producer_map_index is not None:
            return self.producer_map_index
        producer = self.dag.get_task(self.producer_task_id)
        is_mapped = producer.is_mapped or producer.get_closest_mapped_task_group() is not None
        if is_mapped and own < 0:
            raise AirflowFailException(
                f"{self.producer_task_id} is mapped and this task is not: name the instance to "
                "wait for with producer_map_index, or map this task too"
            )
        return own if is_mapped else -1

    @property
    def _runs_nodes(self) -> bool:
        return self.run_again or self.fallback is not None

    def _conclude(self, decision: Decision, waiting: Waiting, context: Any) -> bool:
        match decision.action:
            case "wait":
                return False
            case "success":
                self.log.info("%s", decision.reason)
                return True
            case "skip":
                raise AirflowSkipException(decision.reason)
            case "fail":
                self.log.error("%s", decision.reason)
                raise DbtNodeFailedError(decision.reason)
            case "run":
                self.log.info("%s", decision.reason)
                return self._conclude(self._run_nodes(waiting, context), waiting, context)

    def _run_nodes(self, waiting: Waiting, context: Any) -> Decision:
        call = self._call(context)
        self.log.info("Running it here: %s", shlex.join(call.words))
        self._renewal = Renewal(waiting, env=call.env, cwd=call.cwd, log=self.log)
        return self._renewal.run(call.words, needs_records=self.fallback is None)

    def _call(self, context: Any) -> Call:
        """The call that runs the nodes."""
        if self.fallback is not None:
            env = environment_of(context, self.fallback_env)
            return Call(["bash", "-c", self.fallback], env, self.fallback_cwd)
        producer = self.dag.get_task(self.producer_task_id)
        if not isinstance(producer, DbtRelayOperator):
            raise AirflowFailException(
                f"run_again needs a DbtRelayOperator, and {self.producer_task_id} is none, or is "
                "mapped: give this sensor a command as fallback"
            )
        return producer.call_for(self.node_name, context)


def _is_cleared(own: Any, retries: int | None) -> bool:
    """Whether somebody has cleared the task instance: Airflow then grants it new retries."""
    return own.max_tries > (retries or 0)


def _first(unique_id: str | Sequence[str]) -> str:
    return unique_id if isinstance(unique_id, str) else unique_id[0]


def _check(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{option} is {value!r}: it must be one of {', '.join(known)}")
