"""A sensor that waits for a dbt node and takes over its result."""

from __future__ import annotations

import shlex
from dataclasses import astuple, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NoReturn, get_args

from airflow.sdk import BaseSensorOperator

from ..consumer.alerts import for_templates
from ..consumer.waiting.decision import Decision, OnMissing, OnUpstreamFailed, Policy
from ..consumer.waiting.look import Waiting, look
from ..records.task import TaskInstance
from .errors import DbtNodeFailedError
from .links import DbtTaskLink
from .producer import call_for_nodes, check_producer, fallback_call, producer_index
from .reader import TaskReader, is_cleared
from .renewal import Renewal
from .sdk import CAN_START_FROM_TRIGGER, AirflowSensorTimeout, AirflowSkipException, conf
from .shared_run import SharedRun
from .trigger import OWN_INDEX, SETTLED, DbtNodeTrigger

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from airflow.triggers.base import StartTriggerArgs

    from .dbt_call import Call


class DbtNodeSensor(BaseSensorOperator):
    """Waits for a dbt node that another task of the same DAG run builds with `dbt-relay run`, and
    succeeds, is skipped or fails with the node. See docs/reference/decisions.md.

    The modes are `poke`, `reschedule` and `deferrable=True`. In each mode the task's log has the
    node's result once, in dbt's words. The callbacks of a task that fails in a worker have the
    node's record in their context: `dbt_record`.

    :param unique_id: the node, `model.jaffle.orders`, or several nodes: then one failed node fails
        the task (templated)
    :param producer_task_id: the task that runs dbt, with the ids of its groups (templated)
    :param producer_map_index: the index of the producer, if it is mapped. By default the sensor's
        own index
    :param xcom_task_id: the task that holds the records, if `dbt-relay run` has `--xcom-task-id`
    :param key_prefix: the `--key-prefix` of `dbt-relay run`
    :param on_missing: the result for a node that was not in the run: `fail`, `skip` or `success`;
        `run` runs it here, by `run_again` or `fallback`
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
        no worker (Airflow 3.3 or newer, with `deferrable`; the sensor itself must not be mapped)
    """

    template_fields: Collection[str] = (
        "unique_id",
        "producer_task_id",
        "fallback",
        "fallback_env",
        "fallback_cwd",
    )
    template_fields_renderers = {"fallback": "bash", "fallback_env": "json"}  # noqa: RUF012 - Airflow's form
    operator_extra_links = (DbtTaskLink(),)
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
        if self.execution_timeout is not None:
            # Airflow does not end a deferred task at its execution_timeout (3.0 to 3.3).
            self.timeout = min(self.timeout, self.execution_timeout.total_seconds())
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
        self.node_name = node_name or self.unique_ids[0].split(".", 2)[-1]
        self.fallback_env = fallback_env
        self.fallback_cwd = fallback_cwd
        if deferrable is None:
            deferrable = conf.getboolean("operators", "default_deferrable", fallback=False)
        self.deferrable = deferrable
        if on_missing == "run" and not self._runs_nodes:
            raise ValueError("on_missing='run' needs run_again or a command as fallback")
        if start_from_trigger and CAN_START_FROM_TRIGGER and self._may_start_from_trigger:
            self.start_from_trigger = True
            self.start_trigger_args = self._start_trigger_args()
        self._known: dict[str, Decision] = {}
        self._renewal: Renewal | None = None
        self._was_cleared: bool | None = None

    def pre_execute(self, context: Any) -> None:
        """Give callbacks a record, however the task ends."""
        context["dbt_record"] = for_templates(self.unique_ids[0])

    def execute(self, context: Any) -> Any:
        """Wait in this process, or in the triggerer."""
        check_producer(self)
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
        decision = look(waiting, TaskReader(), self._known)
        self._tell_if_done(decision)
        return self._conclude(decision, waiting, context)

    def resume(self, context: Any, event: dict[str, Any], until: str | None = None) -> None:
        """Continue with the decision of the trigger."""
        self._was_cleared = event["ended_first"] and is_cleared(context["ti"], self.retries)
        decision = Decision.from_json(event)
        if decision.action == "fail" and self._was_cleared and self._runs_nodes:
            has_succeeded = self.poke(context)
        else:
            self._tell_if_done(decision)
            has_succeeded = self._conclude(decision, self._waiting(context), context)
        if not has_succeeded:
            self._defer(context, datetime.fromisoformat(until) if until else self._give_up_at)

    def on_kill(self) -> None:
        """Stop the command that runs the node."""
        if self._renewal is not None:
            self._renewal.stop()

    @property
    def _runs_nodes(self) -> bool:
        """Whether there is a command that runs the nodes alone."""
        return self.run_again or self.fallback is not None

    @property
    def _may_start_from_trigger(self) -> bool:
        """Whether nothing has to happen in a worker before the first look."""
        texts = (*self.unique_ids, self.producer_task_id)
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
        if not (is_first and is_cleared(own, self.retries)):
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
    def unique_ids(self) -> tuple[str, ...]:
        """The nodes that the task waits for."""
        return (self.unique_id,) if isinstance(self.unique_id, str) else tuple(self.unique_id)

    def _waiting(self, context: Any) -> Waiting:
        own = context["ti"]
        logical_date = context["dag_run"].logical_date
        producer = TaskInstance(
            own.dag_id, own.run_id, self.producer_task_id, producer_index(self, own.map_index)
        )
        return replace(
            self._waiting_for(producer),
            logical_date=logical_date.isoformat() if logical_date else None,
            attempt=own.try_number,
            was_cleared=bool(self._was_cleared),
        )

    def _waiting_for(self, producer: TaskInstance) -> Waiting:
        return Waiting(
            unique_ids=self.unique_ids,
            producer=producer,
            xcom_task_id=self.xcom_task_id,
            key_prefix=self.key_prefix,
            policy=Policy(self.on_missing, self.on_upstream_failed, self._runs_nodes),
        )

    def _tell_if_done(self, decision: Decision) -> None:
        """Say that a cleared task runs nothing if its node had succeeded."""
        if self._was_cleared and decision.action == "success":
            self.log.info(
                "%s had succeeded before, so it does not run again. To run it again, clear %s",
                self.node_name,
                self.producer_task_id,
            )

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
                name, node = self.unique_ids[0], decision.node
                context["dbt_record"] = for_templates(name, decision.reason, node)
                raise DbtNodeFailedError(decision.reason, node)
            case "run":
                self.log.info("The result so far:\n%s", decision.reason)
                return self._conclude(self._run_nodes(waiting, context), waiting, context)

    def _run_nodes(self, waiting: Waiting, context: Any) -> Decision:
        """Run the nodes, perhaps in one dbt with the nodes of other tasks."""
        if self.fallback is not None:
            return self._run(fallback_call(self, context), waiting)
        place = (*map(str, astuple(waiting.producer)), waiting.xcom_task_id or "")
        with SharedRun(place, self.node_name).turn() as nodes:
            if nodes is not None:
                return self._run(call_for_nodes(self, nodes, context), waiting)
        self.log.info("another task has run it, together with its own nodes")
        policy = replace(waiting.policy, can_run=False, on_missing="fail")
        return look(replace(waiting, policy=policy), TaskReader(), {})

    def _run(self, call: Call, waiting: Waiting) -> Decision:
        self.log.info("Running it here: %s", shlex.join(call.words))
        self._renewal = Renewal(waiting, env=call.env, cwd=call.cwd, log=self.log)
        return self._renewal.run(call.words, needs_records=self.fallback is None)


def _check(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{option} is {value!r}: it must be one of {', '.join(known)}")
