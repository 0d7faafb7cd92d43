"""Which id Airflow does not have. Its own answer about a task instance does not name the id."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from ...records.values import is_array, is_object, text
from ..sink import Hold, Retry
from .api.answers import Content, Missing, read_content

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .api.answers import Answer
    from .api.session import Session
    from .api.settings import AirflowSettings

_SUGGESTED: Final = 3
_UNEXPANDED: Final = (None, "scheduled", "skipped", "upstream_failed", "removed")
"""States of a mapped task before it has instances, or if it gets none."""
_PRODUCER: Final = "run_dbt"
"""`dbt_task_group` gives this name to the task that runs dbt."""


def find_missing_id(session: Session, to: AirflowSettings) -> Content | Retry | Hold:
    """After a 404 for the task instance: a Hold that names the DAG, run, task or map index which
    Airflow does not have, and similar names that it has.

    For a mapped task that Airflow has not expanded yet, the content is its only instance.
    """
    where, task = f"Airflow at {to.url}", to.task
    found = session.read(lambda client, token: client.dag(token), _is_missing)
    if isinstance(found, (Retry, Hold)):
        return found
    if found:
        known = _names(session, "dags?limit=100", "dags", "dag_id")
        similar = _similar(task.dag_id, known)
        return Hold(f"{where} has no DAG {task.dag_id!r}{similar}: see --dag-id")
    found = session.read(lambda client, token: client.dag_run(token), _is_missing)
    if isinstance(found, (Retry, Hold)):
        return found
    run = f"run {task.run_id!r} of DAG {task.dag_id!r}"
    if found:
        return Hold(f"{where} has no {run}: see --run-id")
    known = _names(session, f"dags/{quote(task.dag_id, safe='')}/tasks", "tasks", "task_id")
    if task.map_index >= 0 and task.task_id in known:
        return _instance(session, to)
    if task.task_id in known:
        return Hold(f"{where} has task {task.task_id!r} in its DAG, but not in {run}: see --run-id")
    return Hold(
        f"{where} has no task {task.task_id!r} in {run}{_similar(task.task_id, known)}: see "
        "--task-id. A task id begins with the ids of the task's groups"
    )


def _is_missing(answer: Answer, _: AirflowSettings) -> bool:
    """Whether Airflow does not have the id. It may also forbid to read it."""
    return answer.names_missing_id


def _instance(session: Session, to: AirflowSettings) -> Content | Retry | Hold:
    """The only instance of a task that has no instance of this map index."""
    where, task = f"Airflow at {to.url}", to.task
    task_id = task.task_id

    def understand(answer: Answer, to: AirflowSettings) -> Content | Missing | Retry | Hold:
        if answer.names_missing_id:
            return Hold(
                f"{where} has no instance {task.map_index} of task {task_id!r}: see --map-index. "
                "The first index is 0"
            )
        return read_content(answer, to)

    found = session.read(lambda c, token: c.unmapped_instance(task_id, token), understand)
    match found:
        case Content(data) if data.get("state") not in _UNEXPANDED:
            return Hold(f"{where} has a task {task_id!r} that is not mapped: leave out --map-index")
        case Missing():
            return Retry(f"{where}: no answer")
        case _:
            return found


def _names(session: Session, path: str, section: str, field: str) -> list[str]:
    """The names in a list of Airflow; none if Airflow does not answer with the list."""
    found = session.read(lambda client, token: client.look(path, token))
    entries: Any = found.data.get(section) if isinstance(found, Content) else None
    names = [text(e.get(field)) for e in entries if is_object(e)] if is_array(entries) else []
    return [name for name in names if name is not None]


def _similar(name: str, known: Sequence[str]) -> str:
    """The known names that may have been meant: the name within a group, in the group of that
    name, or spelled a little differently."""
    within = [k for k in known if k.endswith(f".{name}") or k.rpartition(".")[2] == name]
    of_group = [k for k in known if k.startswith(f"{name}.")]
    of_group.sort(key=lambda k: not k.endswith(f".{_PRODUCER}"))
    close = difflib.get_close_matches(name, known, _SUGGESTED, 0.75)
    found = list(dict.fromkeys([*within, *of_group[:1], *close, *of_group[1:]]))[:_SUGGESTED]
    return f", but it has {' and '.join(map(repr, found))}" if found else ""
