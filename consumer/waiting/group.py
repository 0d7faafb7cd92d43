"""The result of a group of tasks that wait for the nodes of one run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ...records.plural import counted
from .decision import FINAL_STATES, Decision
from .reasons import no_record_reason

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from ...records.schema import RunRecord

_GOOD: Final = frozenset({"success", "skipped", "removed"})
_DBT_RAN: Final = (0, 1)
_MOST_NAMES: Final = 20


@dataclass(frozen=True, slots=True)
class Group:
    """The tasks of a group: for each task_id its upstream tasks in the group, and its nodes."""

    upstream: Mapping[str, Collection[str]]
    nodes: Mapping[str, Collection[str]]

    def causes(self, task_id: str, states: Mapping[str, str | None]) -> set[str]:
        """The failed tasks before a task that Airflow did not start."""
        found: set[str] = set()
        seen: set[str] = set()
        waiting = [*self.upstream[task_id]]
        while waiting:
            before = waiting.pop()
            if before in seen or before not in self.nodes:
                continue
            seen.add(before)
            if states.get(before) == "failed":
                found.add(before)
            else:
                waiting += self.upstream[before]
        return found


def judge(
    group: Group, states: Mapping[str, str | None], producer: str | None, run: RunRecord | None
) -> Decision:
    """Whether the group as a whole has succeeded.

    `states` are the states of the group's tasks, `producer` the state of the task that runs dbt,
    `run` the record of its run. The tasks speak for their nodes: a node that failed in the run and
    has succeeded since is no failure. Whatever else failed in the run, such as a hook, is one.
    """
    bad = [task_id for task_id in group.nodes if states.get(task_id) not in _GOOD]
    # Airflow marks a task `upstream_failed` before all tasks upstream of it have ended.
    ended = [task_id for task_id in bad if states.get(task_id) in FINAL_STATES]
    cut_short = None if producer in _GOOD else _cut_short(producer, run)
    if bad:
        told = [cut_short] if cut_short is not None else []
        return Decision("fail", "\n".join([*told, *_failures(group, ended or bad, states)]))
    if producer in _GOOD:
        return Decision("success", f"{counted(len(group.nodes), 'task')} succeeded")
    if run is None or cut_short is not None:
        return Decision("fail", cut_short or no_record_reason(producer))
    watched = {unique_id for nodes in group.nodes.values() for unique_id in nodes}
    others = [unique_id for unique_id in run.failed or () if unique_id not in watched]
    if others or run.failed_omitted or not run.failed:
        what = _names(others) if others else "something besides the nodes of this group"
        return Decision("fail", f"{what} failed in dbt's run: clear the task that runs dbt")
    recovered = counted(len(run.failed), "node")
    return Decision("success", f"{recovered} failed in dbt's run and succeeded in a later run")


def _cut_short(producer: str | None, run: RunRecord | None) -> str | None:
    """Why dbt did not run all of its nodes; None if nothing says that it did not."""
    if run is None:
        return no_record_reason(producer)
    if run.state != "finished" or run.exit_code not in _DBT_RAN:
        how = run.message or f"dbt ended with exit code {run.exit_code}"
        return f"{how}: clear the task that runs dbt"
    return None


def _failures(
    group: Group, bad: Collection[str], states: Mapping[str, str | None]
) -> Iterable[str]:
    """A line for each failed task, and a line for the tasks that each of them held back."""
    yield f"{len(bad)} of {counted(len(group.nodes), 'task')} did not succeed:"
    held_back: dict[str, list[str]] = {}
    for task_id in bad:
        causes = group.causes(task_id, states) if states.get(task_id) == "upstream_failed" else ()
        if not causes:
            yield f"  {task_id}: {states.get(task_id) or 'not started'}"
        for cause in causes:
            held_back.setdefault(cause, []).append(task_id)
    for cause, tasks in held_back.items():
        yield f"  {cause} held back {counted(len(tasks), 'task')}: {_names(tasks)}"


def _names(names: Collection[str]) -> str:
    shown = ", ".join([*names][:_MOST_NAMES])
    return f"{shown} and {len(names) - _MOST_NAMES:,} more" if len(names) > _MOST_NAMES else shown
