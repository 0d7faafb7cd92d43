"""Which id it is that Airflow does not have: of a task instance it says no more than that."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from ...records.values import is_array, is_object, text
from ..sink import Hold, Retry
from .api.answers import Answer, Content, read_content

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .api.client import Client
    from .api.session import Session
    from .api.settings import AirflowSettings

    Request = Callable[[Client, str], Answer | Retry | Hold]

_SUGGESTED: Final = 3
_UNEXPANDED: Final = (None, "scheduled", "skipped", "upstream_failed", "removed")
"""States that a mapped task may have before it has instances, or if it gets none."""
_PRODUCER: Final = "run_dbt"
"""What `dbt_task_group` calls the task that runs dbt."""


def locate(session: Session, to: AirflowSettings, task_id: str) -> Content | Retry | Hold:
    """After a 404 for a task instance: which of the DAG, the run, the task and the map index is not
    there, with a name that may have been meant.

    Of a mapped task that Airflow has not expanded yet, the one instance that there is until then.
    """
    where, dag = f"Airflow at {to.url}", quote(to.task.dag_id, safe="")
    answer = session.ask(lambda client, token: client.look(f"dags/{dag}", token))
    if not isinstance(answer, Answer):
        return answer
    if answer.names_what_is_absent:
        known = _names(session, "dags?limit=100", "dags", "dag_id")
        return Hold(
            f"{where} has no DAG {to.task.dag_id!r}{_meant(to.task.dag_id, known)}: see --dag-id"
        )
    answer = session.ask(lambda client, token: client.dag_run(token))
    if not isinstance(answer, Answer):
        return answer
    if answer.names_what_is_absent:
        return Hold(
            f"{where} has no run {to.task.run_id!r} of DAG {to.task.dag_id!r}: see --run-id"
        )
    known = _names(session, f"dags/{dag}/tasks", "tasks", "task_id")
    if to.task.map_index >= 0 and task_id in known:
        return _instance(session, to, task_id)
    run = f"run {to.task.run_id!r} of DAG {to.task.dag_id!r}"
    if task_id in known:
        return Hold(f"{where} has task {task_id!r} in its DAG, but not in {run}: see --run-id")
    return Hold(
        f"{where} has no task {task_id!r} in {run}{_meant(task_id, known)}: see --task-id, which "
        "begins with the ids of the task's groups"
    )


def _instance(session: Session, to: AirflowSettings, task_id: str) -> Content | Retry | Hold:
    """What becomes of a map index that is not there."""
    answer = session.ask(lambda client, token: client.unmapped_instance(task_id, token))
    if not isinstance(answer, Answer):
        return answer
    where = f"Airflow at {to.url}"
    if answer.names_what_is_absent:
        return Hold(
            f"{where} has no instance {to.task.map_index} of task {task_id!r}: see --map-index, "
            "which begins at 0"
        )
    found = read_content(answer, to)
    if not isinstance(found, Content):
        return found if isinstance(found, (Retry, Hold)) else Retry(f"{where}: no answer")
    if found.data.get("state") in _UNEXPANDED:
        return found
    return Hold(f"{where} has a task {task_id!r} that is not mapped: leave out --map-index")


def _names(session: Session, path: str, section: str, field: str) -> list[str]:
    """The names in a list of Airflow; none where it does not tell."""
    entries = _read(session, path).get(section)
    found = [text(e.get(field)) for e in entries if is_object(e)] if is_array(entries) else []
    return [name for name in found if name is not None]


def _read(session: Session, path: str) -> dict[str, Any]:
    answer = session.ask(lambda client, token: client.look(path, token))
    content = answer.content if isinstance(answer, Answer) and answer.status == 200 else None
    return content if is_object(content) else {}


def _meant(name: str, known: Sequence[str]) -> str:
    """The names that somebody may have meant who wrote this one: without its groups, the group
    alone, or with a slip."""
    within = [k for k in known if k.endswith(f".{name}") or k.rpartition(".")[2] == name]
    of_group = [k for k in known if k.startswith(f"{name}.")]
    of_group.sort(key=lambda k: not k.endswith(f".{_PRODUCER}"))
    close = difflib.get_close_matches(name, known, _SUGGESTED, 0.75)
    found = list(dict.fromkeys([*within, *of_group[:1], *close, *of_group[1:]]))[:_SUGGESTED]
    return f", but it has {' and '.join(map(repr, found))}" if found else ""
