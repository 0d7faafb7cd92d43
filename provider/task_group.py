"""A task group with a task that runs dbt and a task that waits for each dbt node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, get_args

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import TaskGroup

from ..consumer.graph.ids import GroupBy
from ..consumer.graph.manifest import IndirectSelection, Manifest
from ..consumer.graph.plan import LONGEST_ID, Tests, plan
from .done import DbtDone, GroupPlace
from .freshness import CHECK, add_check
from .links import link_to_nodes
from .node_options import NodeOptions
from .node_tasks import NodeTasks, Starts, compiled_folder
from .operator import DbtRelayOperator
from .run_form import TEMPLATES, add_form

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from os import PathLike

    from airflow.sdk import BaseOperator

    from ..consumer.graph.node import Node
    from .node_options import Customize, DisplayName, Outlets
    from .sensor import DbtNodeSensor

_PRODUCER: Final = "run_dbt"
_DONE: Final = "done"
_WORDS: Final = {"indirect_selection": IndirectSelection, "group_by": GroupBy, "tests": Tests}
_MOST_IN_TRIGGERER: Final = 200
"""Tasks of a group that begins in the triggerer. Airflow 3.3 sends the whole serialized DAG, which
has about 1.5 KB for each task, with each task that begins there."""
_OF_GROUP: Final = frozenset({"select", "exclude", "indirect_selection"})


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
    group_by: GroupBy | None = None,
    task_id: Callable[[Node], str] | None = None,
    display_name: DisplayName | None = None,
    outlets: Outlets | None = None,
    assets: bool = False,
    customize: Customize | None = None,
    params: bool = False,
    source_freshness: bool = False,
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
    :param tests: `task`: a node's tests have a task `….test`; `group`: a node and its tests have a
        group with the tasks `….run` and `….test`; `node`: the tests are in the node's task; `none`
    :param indirect_selection: which tests dbt runs with the selected nodes: `eager`, `cautious`,
        `buildable` or `empty`. By default the flag of the project's `dbt_project.yml`, else `eager`
    :param group_by: `folder`: a group for each folder of models, seeds and snapshots
    :param task_id: a function from a node to the name of its task, without its groups
    :param display_name: a function from a node to the name that Airflow shows for its task
    :param outlets: a function from a node to the assets that its task updates
    :param assets: each relation that dbt builds is an asset. Its event says that the node and its
        tests succeeded; `extra` has rows, seconds, tests and the invocation_id
    :param customize: a function from a node to more keywords for its sensors, which win over the
        options in dbt's `meta.airflow`
    :param params: give the DAG a form for a manual run: `select`, `exclude`, `full_refresh` and
        `vars`. A node that such a run does not select is skipped
    :param source_freshness: check the sources that the nodes read and that have freshness rules,
        before dbt builds. What reads a stale source is left out and held back; the rest is built
    :param deferrable: wait in the triggerer, which occupies no slot of a worker
    :param sensor: more for each DbtNodeSensor: `fallback`, `on_missing`, …. `retries` and
        `retry_delay` are the producer's by default
    :raises ManifestError: if there is no manifest of dbt 1.7 or later
    :raises SelectionError: for a selection that dbt refuses
    :raises OptionError: for an option in `meta.airflow` that no task can have
    :raises ValueError: for options that do not fit each other
    :raises TaskIdError: for a task_id that Airflow refuses or that two nodes have
    """
    _check(indirect_selection=indirect_selection, group_by=group_by, tests=tests)
    chosen = {"select": select, "exclude": exclude, "indirect_selection": indirect_selection}
    shape: dict[str, Any] = {"tests": tests, "group_by": group_by, "task_id": task_id}
    shape["source_freshness"] = source_freshness
    own = {"command": command, "cwd": cwd, **(producer_options or {})}
    read = Manifest.read(manifest)
    with TaskGroup(group_id) as group:
        if params:
            add_form(group.dag, select, exclude, own)
            own, sensor = {**own, **TEMPLATES}, {"on_missing": "skip", **sensor}
        runs_dbt = _producer(group, producer, {**chosen, **own})
        planned = plan(
            read,
            **chosen,
            **shape,
            taken={runs_dbt.task_id.rpartition(".")[2], _DONE, *([CHECK] * source_freshness)},
            longest_id=LONGEST_ID - len(group.child_id("")),
        )
        starts = Starts.of(sensor, deferrable and len(planned) <= _MOST_IN_TRIGGERER)
        common = {"deferrable": deferrable, **sensor}
        check = add_check(runs_dbt, planned, own, read.default_selector, common)
        options = NodeOptions(outlets, display_name, customize)
        found = read.nodes, compiled_folder(manifest)
        tasks = NodeTasks(group, runs_dbt, common, options, *found, starts, assets, check)
        _add_done(group, runs_dbt, tasks.make(planned), common, starts.later)
    return group


def _check(**options: str | None) -> None:
    for option, value in options.items():
        known = get_args(_WORDS[option])
        if value is not None and value not in known:
            raise ValueError(f"{option} is {value!r}: it must be one of {', '.join(known)}")


def _producer(
    group: TaskGroup,
    producer: BaseOperator | str | None,
    own: dict[str, Any],
) -> Any:
    """The task that runs dbt, in the group. `own` are the options of an operator of a command."""
    if (own["command"] is None) == (producer is None):
        raise ValueError("dbt_task_group needs either command or producer")
    if producer is None:
        made: Any = DbtRelayOperator(task_id=_PRODUCER, **own)
    elif given := sorted(name for name in own.keys() - _OF_GROUP if own[name] is not None):
        raise ValueError(f"{', '.join(given)}: give that to the producer itself")
    elif isinstance(producer, str):
        made = BashOperator(task_id=_PRODUCER, bash_command=producer)
    else:
        made = group.add(producer)
    link_to_nodes(made)
    return made


def _add_done(
    group: TaskGroup,
    producer: Any,
    sensors: Iterable[DbtNodeSensor],
    options: Mapping[str, Any],
    starts: bool,
) -> None:
    """Add the last task, which `starts` in the triggerer or in a worker. `options` are those of all
    sensors."""
    place = GroupPlace(
        str(group.group_id),
        producer.task_id,
        options.get("producer_map_index"),
        options.get("key_prefix", ""),
    )
    done = DbtDone(task_id=_DONE, task_group=group, place=place, start_from_trigger=starts)
    done.set_upstream([producer, *(s for s in sensors if not s.downstream_task_ids)])
