"""Links between the task that runs dbt and the tasks of its nodes, as buttons in Airflow's UI.

Airflow 3 asks for a link in the worker when the task's process ends, and keeps it as an XCom of the
task.
"""

from __future__ import annotations

import contextlib
from typing import Any
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink

from .producer import producer_index
from .sdk import AirflowFailException, conf


class DbtTaskLink(BaseOperatorLink):
    """From a node's task to the task that runs dbt, at its latest try."""

    @property
    def name(self) -> str:
        return "dbt's log"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The page of the task that runs dbt; empty if the DAG has no such task instance."""
        if not operator.dag.has_task(operator.producer_task_id):
            return ""
        try:
            index = producer_index(operator, ti_key.map_index)
        except AirflowFailException:
            return ""
        mapped = ("mapped", str(index)) if index >= 0 else ()
        return _page(ti_key, operator.producer_task_id, *mapped)


class DbtNodesLink(BaseOperatorLink):
    """From the task that runs dbt to its task group, in the same DAG run."""

    @property
    def name(self) -> str:
        return "dbt's nodes"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The page of the group, with the state of each node's task."""
        return _page(ti_key, "group", operator.task_group.group_id)


def link_to_nodes(producer: Any) -> None:
    """Give the task that runs dbt a link to its group. An instance of a mapped task gets none."""
    if producer.is_mapped:
        return
    # An operator may compute its links, and then takes no other.
    with contextlib.suppress(AttributeError):
        producer.operator_extra_links = (*producer.operator_extra_links, DbtNodesLink())


def _page(ti_key: Any, *parts: str) -> str:
    """The address of a page below the tasks of a DAG run.

    It is relative where a worker does not know the address of Airflow's UI.
    """
    base = conf.get("api", "base_url", fallback="").rstrip("/")
    path = ("dags", ti_key.dag_id, "runs", ti_key.run_id, "tasks", *parts)
    return f"{base}/" + "/".join(quote(part, safe="") for part in path)
