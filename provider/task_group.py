"""A task group with a task that runs dbt and a task that waits for each dbt node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

from airflow.providers.common.compat.sdk import TaskGroup
from airflow.providers.standard.operators.bash import BashOperator

from ..consumer.graph.manifest import IndirectSelection, Manifest
from ..consumer.graph.plan import LONGEST_ID, NodeTask, Tests, plan
from .done import DbtDone, GroupPlace
from .operator import DbtRelayOperator
from .sensor import DbtNodeSensor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from os import PathLike

    from airflow.sdk import BaseOperator

    from ..consumer.graph.node import Node

_PRODUCER: Final = "run_dbt"
_DONE: Final = "done"


def dbt_task_group(
    *,
    manifest: str | PathLike[str],
    command: str | Sequence[str] | None = None,
    cwd: str | None = None,
    producer: BaseOperator | str | None = None,
    producer_options: Mapping[str, Any] | None = None,
    select: str | Sequence[str] | None = None,
    exclude: str | Sequence[str] | None = None,
    group_id: str = "dbt",
    tests: Tests = "task",
    indirect_selection: IndirectSelection | None = None,
    outlets: Callable[[Node], Iterable[Any]] | None = None,
    deferrable: bool = True,
    **sensor: Any,
) -> TaskGroup:
    """A group of a task that runs dbt, a DbtNodeSensor for each selected model, seed and snapshot,
    and a last task `done`. The sensors have the order of dbt's edges. No dbt is imported or called.

    The first nodes are downstream of the task that runs dbt, so that clearing it clears the group.
    `done` fails if a node failed, and if dbt failed although every node succeeded, as after a
    failed hook.

    :param manifest: dbt's `target/manifest.json`, which `dbt parse` and every build write
    :param command: the dbt command, such as `dbt build`, for a DbtRelayOperator `run_dbt`. It gets
        the selection of the group. A later try of a node's task runs that node alone
    :param cwd: the folder of the command, usually dbt's project
    :param producer: in place of `command`: another task that runs dbt, or a bash command for a task
        `run_dbt`. Give it the same selection: a node that dbt does not run has no record
    :param producer_options: more for the DbtRelayOperator: `env`, `vars`, `pool`, …
    :param select: nodes in dbt's selection syntax (`tag:daily`, `path:models/marts`, `+orders`)
    :param exclude: nodes to leave out, in the same syntax
    :param tests: `task`: a node's tests have a task `….test`; `node`: they are in its task; `none`
    :param indirect_selection: which tests dbt runs with the selected nodes: `eager`, `cautious`,
        `buildable` or `empty`. By default the flag of the project's `dbt_project.yml`, else `eager`
    :param outlets: a function from a node to the assets that its task updates
    :param deferrable: wait in the triggerer, which occupies no slot of a worker
    :param sensor: more for each DbtNodeSensor: `fallback`, `on_missing`, …. `retries` and
        `retry_delay` are the producer's by default
    :raises ManifestError: if there is no manifest of dbt 1.7 or later
    :raises SelectionError: for a selection that dbt refuses
    """
    _check(indirect_selection)
    own = {"cwd": cwd, **(producer_options or {})}
    _check_producer(command, producer, own)
    with TaskGroup(group_id) as group:
        runs_dbt = (
            _added(group, producer)
            if producer is not None
            else DbtRelayOperator(
                task_id=_PRODUCER,
                command=command or (),
                select=select,
                exclude=exclude,
                indirect_selection=indirect_selection,
                **own,
            )
        )
        planned = plan(
            Manifest.read(manifest),
            select,
            exclude,
            tests=tests,
            taken={runs_dbt.task_id.rpartition(".")[2], _DONE},
            indirect_selection=indirect_selection,
            longest_id=LONGEST_ID - len(group.child_id("")),
        )
        options = {"deferrable": deferrable, "start_from_trigger": deferrable, **sensor}
        sensors = _sensors(planned, runs_dbt, outlets, options)
        done = _done(str(group.group_id), runs_dbt.task_id, options)
        done.set_upstream([runs_dbt, *(s for s in sensors if not s.downstream_task_ids)])
    return group


def _check(indirect_selection: str | None) -> None:
    known = (None, *get_args(IndirectSelection))
    if indirect_selection not in known:
        raise ValueError(f"indirect_selection is {indirect_selection!r}: it must be one of {known}")


def _check_producer(command: Any, producer: Any, own: dict[str, Any]) -> None:
    if (command is None) == (producer is None):
        raise ValueError("dbt_task_group needs either command or producer")
    given = ", ".join(name for name, value in own.items() if value is not None)
    if producer is not None and given:
        raise ValueError(f"{given} belongs to command: give it to the producer itself")


def _added(group: TaskGroup, producer: BaseOperator | str) -> Any:
    """The given task that runs dbt, in the group."""
    if isinstance(producer, str):
        return BashOperator(task_id=_PRODUCER, bash_command=producer)
    return group.add(producer)


def _done(group_id: str, producer_task_id: str, options: dict[str, Any]) -> DbtDone:
    """The last task. `options` are those of the sensors."""
    place = GroupPlace(
        group_id, producer_task_id, options.get("producer_map_index"), options.get("key_prefix", "")
    )
    return DbtDone(task_id=_DONE, place=place, start_from_trigger=options["start_from_trigger"])


def _sensors(
    planned: Iterable[NodeTask],
    producer: Any,
    outlets: Callable[[Node], Iterable[Any]] | None,
    options: dict[str, Any],
) -> list[DbtNodeSensor]:
    """A sensor for each planned task, in the order of dbt's edges."""
    common: dict[str, Any] = {
        "trigger_rule": _trigger_rule(options),
        "run_again": isinstance(producer, DbtRelayOperator) and producer.can_select,
        **_retries(producer),
        **options,
    }
    first: dict[str, Any] = {**common, "trigger_rule": "always"}
    sensors: dict[str, DbtNodeSensor] = {}
    for task in planned:
        sensor = DbtNodeSensor(
            task_id=task.task_id,
            unique_id=task.unique_ids[0] if len(task.unique_ids) == 1 else task.unique_ids,
            node_name=task.selector,
            producer_task_id=producer.task_id,
            outlets=list(outlets(task.node)) if outlets and not task.is_test else None,
            **(common if task.upstream else first),
        )
        sensor.set_upstream([sensors[task_id] for task_id in task.upstream] or producer)
        sensors[task.task_id] = sensor
    return [*sensors.values()]


def _retries(producer: Any) -> dict[str, Any]:
    """The producer's retries, for each sensor too: a retry of dbt may mend the node."""
    names = ("retries", "retry_delay") if getattr(producer, "retries", None) else ()
    return {name: getattr(producer, name) for name in names}


def _trigger_rule(sensor: dict[str, Any]) -> str:
    """Airflow itself marks the tasks downstream of a failed node, which costs no look. With
    `on_upstream_failed="skip"` each task must look at its own record."""
    return "all_done" if sensor.get("on_upstream_failed") == "skip" else "none_failed"
