"""Which task's XComs in which Airflow the records become, and how to get in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from ....records.task import TaskInstance


@dataclass(frozen=True, slots=True)
class Login:
    """How to get a bearer token: the first of these fields that is set. No secret is shown."""

    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    token_command: str | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def is_given(self) -> bool:
        return bool(
            self.token
            or self.token_file
            or self.token_command
            or (self.username and self.password is not None)
        )


@dataclass(frozen=True, slots=True)
class AirflowSettings:
    """`url` is Airflow's root, see `base_url`; `task` is the task instance that runs dbt.

    That task also holds the XComs, unless `xcom_task_id` names another task of the same DAG run.
    `renews` is for nodes that run again after their task has ended: the record of the run is not
    written then. `force` lets a record replace a newer one. Timeouts are in seconds: to connect,
    for each read, and for a whole answer.
    """

    url: str
    task: TaskInstance
    login: Login
    xcom_task_id: str | None = None
    key_prefix: str = ""
    max_message_bytes: int = 16_384
    renews: bool = False
    force: bool = False
    ca_file: Path | None = None
    proxy: str | None = field(default=None, repr=False)
    connect_timeout: float = 5.0
    read_timeout: float = 15.0
    answer_timeout: float = 30.0

    @property
    def address(self) -> dict[str, Any]:
        """The part that the journal keeps, as flat JSON. It leaves out the credentials, and the
        proxy, whose address may hold some."""
        task = self.task
        return {
            "url": self.url,
            "dag_id": task.dag_id,
            "run_id": task.run_id,
            "task_id": task.task_id,
            "xcom_task_id": self.xcom_task_id,
            "map_index": task.map_index,
            "key_prefix": self.key_prefix,
            "max_message_bytes": self.max_message_bytes,
            "renews": self.renews,
            "ca_file": str(self.ca_file) if self.ca_file else None,
        }

    @property
    def xcom_task(self) -> str:
        """The id of the task that holds the XComs."""
        return self.xcom_task_id or self.task.task_id
