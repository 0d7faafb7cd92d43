"""The settings of a command: built once from its options, checked, and never changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ..records.task import TaskInstance
from ..sinks.airflow import AirflowSettings, Login, base_url, check_prefix, proxy_of
from . import exit_codes
from .output.notice import notice

if TYPE_CHECKING:
    from collections.abc import Mapping


CREDENTIALS: Final = (
    "DBT_RELAY_AIRFLOW_TOKEN (or …_TOKEN_FILE, …_TOKEN_COMMAND, …_USERNAME and …_PASSWORD)"
)
AIRFLOW_SINKS: Final = frozenset({"airflow", "cosmos"})
STANDARD_SINKS: Final = frozenset({"openlineage", "otlp"})
"""Sinks whose client has settings of its own, which the relay does not know."""
URL_VARIABLES: Final = ("DBT_RELAY_AIRFLOW_URL", "AIRFLOW__API__BASE_URL")


class ConfigurationError(click.ClickException):
    """Settings that cannot work. Nothing was started."""

    exit_code = exit_codes.CONFIGURATION

    def show(self, file: Any = None) -> None:
        notice(self.message)


@dataclass(frozen=True, slots=True)
class Place:
    """The task of Airflow that this work belongs to, as far as it is named.

    `attempt` is Airflow's try number.
    """

    dag_id: str | None = None
    run_id: str | None = None
    task_id: str | None = None
    map_index: int = -1
    attempt: int | None = None

    @property
    def task(self) -> TaskInstance | None:
        """The task instance; None unless all of it is named."""
        return None if self.missing else self.named

    @property
    def named(self) -> TaskInstance:
        """The task instance with an empty text for each id that is not named."""
        return TaskInstance(
            self.dag_id or "", self.run_id or "", self.task_id or "", self.map_index
        )

    @property
    def missing(self) -> list[str]:
        """The options that would name the rest."""
        given = {"--dag-id": self.dag_id, "--run-id": self.run_id, "--task-id": self.task_id}
        return [option for option, value in given.items() if not value]


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach Airflow. `is_url_typed` says that the address stands on the command line."""

    url: str | None = None
    is_url_typed: bool = False
    ca_file: Path | None = None
    proxy: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class XComForm:
    """Which XComs the records become. `task_id` is another task of the DAG run that holds them."""

    task_id: str | None = None
    key_prefix: str = ""
    max_message_bytes: int = 16_384

    def check_for_cosmos(self) -> None:
        """Raises ConfigurationError for settings that the sink cosmos cannot follow."""
        for option, value in {
            "--key-prefix": self.key_prefix,
            "--xcom-task-id": self.task_id,
        }.items():
            if value:
                raise ConfigurationError(
                    f"--sink cosmos and {option} exclude each other: the sensors of Cosmos read "
                    "fixed keys of the task whose state they watch"
                )


@dataclass(frozen=True, slots=True)
class AirflowAccess:
    """The Airflow that a command speaks to, and the task that it speaks of."""

    place: Place
    connection: Connection
    xcoms: XComForm = field(default_factory=XComForm)

    def missing(self, environ: Mapping[str, str]) -> list[str]:
        """What is not set and has to be, for records to reach Airflow."""
        missing = self.place.missing
        if not self.connection.url:
            missing.append(URL_VARIABLES[0])
        if not login_of(environ).is_given:
            missing.append(CREDENTIALS)
        return missing

    def settings(
        self, environ: Mapping[str, str], *, renews: bool = False, force: bool = False
    ) -> AirflowSettings:
        """The settings of the REST API; an id that is not named is empty.

        Raises ConfigurationError for settings that cannot work.
        """
        form = self.xcoms
        try:
            check_prefix(form.key_prefix)
            url = base_url(self.connection.url or "")
            return AirflowSettings(
                url=url,
                task=self.place.named,
                login=login_of(environ),
                xcom_task_id=form.task_id,
                key_prefix=form.key_prefix,
                max_message_bytes=form.max_message_bytes,
                renews=renews,
                force=force,
                ca_file=self.connection.ca_file,
                proxy=proxy_of(url, self.connection.proxy, environ),
            )
        except ValueError as error:
            raise ConfigurationError(str(error)) from error


@dataclass(frozen=True, slots=True)
class Sending:
    """How records are sent. `flush_timeout` is in seconds, from the end of dbt."""

    workers: int = 1
    flush_timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class Keeping:
    """Where the journal is, how many runs it keeps, and for how many days.

    `stats_days` is for how many days the ledger keeps its row of each node and run.
    """

    state_dir: Path | None = None
    runs: int = 50
    days: float = 14.0
    stats_days: float = 365.0


@dataclass(frozen=True, slots=True)
class Reaching:
    """How to reach the Airflow of a run that the journal has."""

    connection: Connection
    sending: Sending
    keeping: Keeping


@dataclass(frozen=True, slots=True)
class Calls:
    """The commands of a shell to run at the end: always, and for a run that failed."""

    on_failure: tuple[str, ...] = ()
    on_end: tuple[str, ...] = ()

    def after(self, exit_code: int) -> list[tuple[str, str]]:
        """The commands for a relay that ends with this code, each after the name of its option."""
        failed = self.on_failure if exit_code else ()
        return [
            *(("--on-failure", command) for command in failed),
            *(("--on-end", command) for command in self.on_end),
        ]


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """The settings of a command that relays records: where they go, and what is kept of them.

    `default_sink` is the sink of an Airflow task for which no sink is named.
    `is_strict` makes undelivered records a failure, `writes_note` leaves a note at the task.
    `renews` says that nodes are run again for a task of the DAG run that has ended. `reports` are
    files to write at the end of the run, or `github`; `calls` are commands to run after that.
    """

    sinks: tuple[str, ...]
    airflow: AirflowAccess
    sending: Sending
    keeping: Keeping
    default_sink: str = "airflow"
    is_strict: bool = False
    writes_note: bool = False
    renews: bool = False
    reports: tuple[str, ...] = ()
    calls: Calls = field(default_factory=Calls)

    @property
    def place(self) -> Place:
        return self.airflow.place

    def names_task(self, environ: Mapping[str, str]) -> bool:
        """Whether Airflow, on its worker, or the options name a task."""
        return "AIRFLOW_CTX_TASK_ID" in environ or self.place.task is not None


@dataclass(frozen=True, slots=True)
class RunSettings:
    """The settings of `run`.

    `grace` is in seconds. `resumes` continues the previous attempt. `renewed_task_id` is a task
    that has ended, whose nodes run again. `only` has terms of dbt's `--select`, which replace the
    command's own selection. `progress` is whether to show a live panel; None leaves it to the
    terminal.
    """

    relay: RelaySettings
    grace: float = 10.0
    resumes: bool = False
    renewed_task_id: str | None = None
    only: tuple[str, ...] = ()
    freshness: bool = False
    progress: bool | None = None


def login_of(environ: Mapping[str, str]) -> Login:
    """The credentials for Airflow, which come from the environment only."""

    def secret(name: str) -> str | None:
        return environ.get(f"DBT_RELAY_AIRFLOW_{name}") or None

    file = secret("TOKEN_FILE")
    return Login(
        token=secret("TOKEN"),
        token_file=Path(file) if file else None,
        token_command=secret("TOKEN_COMMAND"),
        username=secret("USERNAME"),
        password=secret("PASSWORD"),
    )
