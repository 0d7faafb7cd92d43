"""A sensor that waits for a dbt node and takes over its result."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Final, NoReturn, get_args

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    conf,
)
from airflow.providers.standard.hooks.subprocess import SubprocessHook

from ..consumer.waiting.decision import Decision, OnMissing, OnUpstreamFailed, Policy
from ..consumer.waiting.look import Waiting, look
from ..records.task import TaskInstance
from .reader import TaskReader
from .trigger import SETTLED, DbtNodeTrigger

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

_SKIP: Final = 99
"""The exit code of a command that skips its task, as for BashOperator."""


class DbtNodeFailedError(AirflowException):
    """A node did not succeed. The message is dbt's own text."""


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
    :param fallback: a bash command that runs the node, on a later try of this task, once the
        producer has ended (templated; `{{ task.node_name }}` selects the node). A `dbt-relay run`
        in it renews the node's record at the producer
    :param node_name: the value for `--select`. By default the end of the first `unique_id`, which
        also selects a package or a folder of that name (`dbt_task_group` passes a better one)
    :param fallback_env: variables for the fallback, besides those of the worker (templated)
    :param fallback_cwd: the folder of the fallback (templated)
    :param poke_interval: seconds between two looks, at least 10 before the second look of a
        deferred task and in the mode `reschedule`: Airflow may fail a task that returns sooner
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
        fallback: str | None = None,
        node_name: str | None = None,
        fallback_env: Mapping[str, str] | None = None,
        fallback_cwd: str | None = None,
        poke_interval: timedelta | float = 5,
        deferrable: bool | None = None,
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
        self.fallback = fallback
        self.node_name = node_name or _first(unique_id).split(".", 2)[-1]
        self.fallback_env = fallback_env
        self.fallback_cwd = fallback_cwd
        if deferrable is None:
            deferrable = conf.getboolean("operators", "default_deferrable", fallback=False)
        self.deferrable = deferrable
        self._known: dict[str, Decision] = {}
        self._hook: SubprocessHook | None = None

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
            self._defer(context, datetime.now(timezone.utc) + timedelta(seconds=self.timeout))
        return None

    def poke(self, context: Any) -> bool:
        """Look once. Returns True when the node has succeeded."""
        waiting = self._waiting(context)
        return self._conclude(look(waiting, TaskReader(), self._known), waiting)

    def resume(self, context: Any, event: dict[str, Any], until: str) -> None:
        """Continue with the decision of the trigger."""
        decision = Decision(event["action"], event["reason"])
        if not self._conclude(decision, self._waiting(context)):
            self._defer(context, datetime.fromisoformat(until))

    def on_kill(self) -> None:
        """Stop the fallback."""
        if self._hook is not None:
            self._hook.send_sigterm()

    def _defer(self, context: Any, until: datetime) -> NoReturn:
        left = until - datetime.now(timezone.utc)
        if left <= timedelta(0):
            raise AirflowSensorTimeout(f"{self.node_name} has not ended after {self.timeout:.0f} s")
        self.defer(
            trigger=DbtNodeTrigger(self._waiting(context).to_json(), self.poke_interval),
            method_name="resume",
            kwargs={"until": until.isoformat()},
            timeout=left,
        )

    def _waiting(self, context: Any) -> Waiting:
        own = context["ti"]
        logical_date = context["dag_run"].logical_date
        return Waiting(
            unique_ids=(self.unique_id,)
            if isinstance(self.unique_id, str)
            else tuple(self.unique_id),
            producer=TaskInstance(
                own.dag_id, own.run_id, self.producer_task_id, self._map_index(own.map_index)
            ),
            xcom_task_id=self.xcom_task_id,
            key_prefix=self.key_prefix,
            logical_date=logical_date.isoformat() if logical_date else None,
            attempt=own.try_number,
            policy=Policy(self.on_missing, self.on_upstream_failed, self.fallback is not None),
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

    def _conclude(self, decision: Decision, waiting: Waiting) -> bool:
        match decision.action:
            case "wait":
                return False
            case "success":
                self.log.info("%s", decision.reason)
                return True
            case "skip":
                raise AirflowSkipException(decision.reason)
            case "fail":
                raise DbtNodeFailedError(decision.reason)
            case "run":
                self._run_fallback(decision.reason, waiting)
                return True

    def _run_fallback(self, reason: str, waiting: Waiting) -> None:
        assert self.fallback is not None  # noqa: S101 - the policy said so
        self.log.info("%s\nRunning it here: %s", reason, self.fallback)
        self._hook = SubprocessHook()
        ended = self._hook.run_command(
            command=["bash", "-c", self.fallback],
            env={**os.environ, **_renewal_variables(waiting), **(self.fallback_env or {})},
            cwd=self.fallback_cwd,
        )
        if ended.exit_code == _SKIP:
            raise AirflowSkipException(f"the fallback for {self.node_name} ended with {_SKIP}")
        if ended.exit_code != 0:
            raise DbtNodeFailedError(
                f"the fallback for {self.node_name} ended with exit code {ended.exit_code}: "
                "see its output above"
            )


def _renewal_variables(waiting: Waiting) -> dict[str, str]:
    """The variables that tell a `dbt-relay run` in the fallback whose records it renews."""
    given = {
        "DBT_RELAY_RENEW": waiting.producer.task_id,
        "DBT_RELAY_MAP_INDEX": str(waiting.producer.map_index),
        "DBT_RELAY_XCOM_TASK_ID": waiting.xcom_task_id,
        "DBT_RELAY_KEY_PREFIX": waiting.key_prefix,
    }
    return {name: value for name, value in given.items() if value}


def _first(unique_id: str | Sequence[str]) -> str:
    return unique_id if isinstance(unique_id, str) else unique_id[0]


def _check(option: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{option} is {value!r}: it must be one of {', '.join(known)}")
