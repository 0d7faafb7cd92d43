"""Where in which Airflow the records go, and how to get in."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from ....records.task import TaskInstance


WireName = Literal["relay", "cosmos"]
WIRES: Final[tuple[WireName, ...]] = ("relay", "cosmos")
_KEPT: Final = ("url", "xcom_task_id", "key_prefix", "max_message_bytes", "wire", "renews")


@dataclass(frozen=True, slots=True)
class Login:
    """One way to get a bearer token, in this order; nothing of it is ever shown."""

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
    """`url` is Airflow's root, see `base_url`.

    `task` is the task that runs dbt. It holds the XComs, unless `xcom_task_id` names another task.
    `wire` is the form of the XComs; those of Cosmos go by names that cannot be chosen.
    `renews`: nodes are run again for a run that has ended, whose own record stays. `force` lets a
    record replace a newer one. Timeouts are in seconds: for the connection, for
    each read, and for a whole answer.
    """

    url: str
    task: TaskInstance
    login: Login
    xcom_task_id: str | None = None
    key_prefix: str = ""
    max_message_bytes: int = 16_384
    wire: WireName = "relay"
    renews: bool = False
    force: bool = False
    ca_file: Path | None = None
    proxy: str | None = field(default=None, repr=False)
    connect_timeout: float = 5.0
    read_timeout: float = 15.0
    answer_timeout: float = 30.0

    @property
    def address(self) -> dict[str, Any]:
        """The part that the journal keeps. It has no credentials, and no proxy, since the address
        of a proxy may hold some."""
        kept = {name: getattr(self, name) for name in _KEPT}
        return {**asdict(self.task), **kept, "ca_file": str(self.ca_file) if self.ca_file else None}

    @property
    def xcom_task(self) -> str:
        """The task whose XComs the records are."""
        return self.xcom_task_id or self.task.task_id
