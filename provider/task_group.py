"""A task group with one task for each dbt node, fed by the one task that runs dbt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

from airflow.providers.common.compat.sdk import TaskGroup
from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.empty import EmptyOperator

from ..consumer.graph.manifest import IndirectSelection, Manifest
from ..consumer.graph.plan import LONGEST_ID, NodeTask, Tests, plan
from .sensor import DbtNodeSensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from os import PathLike

    from airflow.sdk import BaseOperator

    from ..consumer.graph.node import Node

_PRODUCER: Final = "run_dbt"
_DONE: Final = "done"


def dbt_task_group(
    *,
    manifest: str | PathLike[str],
    producer: BaseOperator | str,
    select: str | Sequence[str] | None = None,
    exclude: str | Sequence[str] | None = None,
    group_id: str = "dbt",
    tests: Tests = "task",
    indirect_selection: IndirectSelection | None = None,
    outlets: Callable[[Node], Iterable[Any]] | None = None,
    deferrable: bool = True,
    **sensor: Any,
) -> TaskGroup:
    """A group of `producer`, a DbtNodeSensor for each selected model, seed and snapshot, wired
    along dbt's edges, and a last task `done`. dbt is neither imported nor called.

    The first nodes are downstream of the producer, so that clearing it clears the group. `done`
    fails the DAG run where dbt failed although every node succeeded, as after a failed hook.

    :param manifest: dbt's `target/manifest.json`, as `dbt parse` or any build leaves it
    :param producer: the task that runs dbt, or a command for bash that becomes one
    :param select: nodes in dbt's selection syntax (`tag:daily`, `path:models/marts`, `+orders`).
        Pass the same selection to dbt: a node that dbt does not run has no record
    :param exclude: nodes to leave out, in the same syntax
    :param tests: `task`: a node's tests are one task `….test`; `node`: in its own task; `none`
    :param indirect_selection: which tests dbt runs with the selected nodes: `eager`, `cautious`,
        `buildable` or `empty`. By default the flag of the project's `dbt_project.yml`, else `eager`
    :param outlets: the assets that a node's task updates
    :param deferrable: wait in the triggerer, which takes no worker's slot
    :param sensor: more for each DbtNodeSensor: `fallback`, `on_missing`, `poke_interval`, …;
        `retries` and `retry_delay` are the producer's unless given
    :raises ManifestError: if there is no manifest of dbt 1.7 or later
    :raises SelectionError: for a selection that dbt refuses
    """
    _check(indirect_selection)
    with TaskGroup(group_id) as group:
        runs_dbt = _added(group, producer)
        planned = plan(
            Manifest.read(manifest),
            select,
            exclude,
            tests=tests,
            taken={runs_dbt.task_id.rpartition(".")[2], _DONE},
            indirect_selection=indirect_selection,
            longest_id=LONGEST_ID - len(group.child_id("")),
        )
        sensors = _sensors(planned, runs_dbt, outlets, {"deferrable": deferrable, **sensor})
        done = EmptyOperator(task_id=_DONE, trigger_rule="none_failed")
        done.set_upstream([runs_dbt, *(s for s in sensors if not s.downstream_task_ids)])
    return group


def _check(indirect_selection: str | None) -> None:
    known = (None, *get_args(IndirectSelection))
    if indirect_selection not in known:
        raise ValueError(f"indirect_selection is {indirect_selection!r}: it must be one of {known}")


def _added(group: TaskGroup, producer: BaseOperator | str) -> Any:
    """The task that runs dbt, in the group."""
    if isinstance(producer, str):
        return BashOperator(task_id=_PRODUCER, bash_command=producer)
    return group.add(producer)


def _sensors(
    planned: Iterable[NodeTask],
    producer: Any,
    outlets: Callable[[Node], Iterable[Any]] | None,
    options: dict[str, Any],
) -> list[DbtNodeSensor]:
    """A sensor for each planned task, wired along dbt's edges."""
    later: dict[str, Any] = {"trigger_rule": _trigger_rule(options), **_retries(producer)}
    later |= options
    first: dict[str, Any] = {**later, "trigger_rule": "always"}
    sensors: dict[str, DbtNodeSensor] = {}
    for task in planned:
        sensor = DbtNodeSensor(
            task_id=task.task_id,
            unique_id=task.unique_ids[0] if len(task.unique_ids) == 1 else task.unique_ids,
            node_name=task.selector,
            producer_task_id=producer.task_id,
            outlets=list(outlets(task.node)) if outlets and not task.is_test else None,
            **(later if task.upstream else first),
        )
        sensor.set_upstream([sensors[task_id] for task_id in task.upstream] or producer)
        sensors[task.task_id] = sensor
    return [*sensors.values()]


def _retries(producer: Any) -> dict[str, Any]:
    """A node's task is tried as often as dbt is: a retry of dbt may mend the node."""
    names = ("retries", "retry_delay") if getattr(producer, "retries", None) else ()
    return {name: getattr(producer, name) for name in names}


def _trigger_rule(sensor: dict[str, Any]) -> str:
    """Where a node failed, Airflow itself marks what is after it, which costs no look. With
    `on_upstream_failed="skip"` each task has to see its own record."""
    return "all_done" if sensor.get("on_upstream_failed") == "skip" else "none_failed"
