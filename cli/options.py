"""Options that commands share, and the settings that they become."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from click.core import ParameterSource

from .settings import (
    AirflowAccess,
    Connection,
    Keeping,
    Place,
    Reaching,
    RelaySettings,
    Sending,
    XComForm,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

R = TypeVar("R")


def option(*names: str, context: str | None = None, **attributes: Any) -> Any:
    """A click option with its variable: `DBT_RELAY_` and its name, then Airflow's own, if any."""
    name = next(n for n in names if n.startswith("--")).partition("/")[0]
    variables = ["DBT_RELAY_" + name.removeprefix("--").replace("-", "_").upper()]
    if context is not None:
        variables.append(context)
    return click.option(*names, envvar=variables, show_envvar=True, **attributes)


_SINK: Final = (
    option(
        "--sink",
        "sinks",
        multiple=True,
        metavar="SINK",
        help="Where records go: 'airflow', 'cosmos' (XComs that the sensors of Astronomer Cosmos "
        "1.15 read), or 'jsonl:PATH' ('jsonl:-' is stdout). Repeatable. Default: airflow if "
        "--dag-id, --run-id and --task-id are known, as in an Airflow task; otherwise none.",
    ),
)
_ADDRESS: Final = (
    option(
        "--airflow-url",
        context="AIRFLOW__API__BASE_URL",
        metavar="URL",
        help="Airflow's address, with or without /api/v2.",
    ),
    option(
        "--ca-file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="CA certificates for Airflow's TLS.",
    ),
    option("--proxy", metavar="URL", help="HTTP proxy to Airflow."),
)
_SENDING: Final = (
    option(
        "--workers",
        type=click.IntRange(1, 16),
        default=1,
        show_default=True,
        help="Threads that send to Airflow. More than one takes an Airflow on SQLite down.",
    ),
    option(
        "--flush-timeout",
        type=click.FloatRange(min=0),
        default=30.0,
        show_default=True,
        metavar="SECONDS",
        help="How long to go on delivering after dbt has ended.",
    ),
)
_DAG_RUN: Final = (
    option("--dag-id", context="AIRFLOW_CTX_DAG_ID", metavar="ID", help="The DAG."),
    option("--run-id", context="AIRFLOW_CTX_DAG_RUN_ID", metavar="ID", help="The DAG run."),
)
_PLACE: Final = (
    option("--task-id", context="AIRFLOW_CTX_TASK_ID", metavar="ID", help="The task."),
    option(
        "--try-number",
        context="AIRFLOW_CTX_TRY_NUMBER",
        type=click.IntRange(min=1),
        metavar="N",
        help="The task's try; each record carries it as 'attempt'.",
    ),
    option(
        "--map-index",
        context="AIRFLOW_CTX_MAP_INDEX",
        type=click.IntRange(min=-1),
        default=-1,
        show_default=True,
        metavar="N",
        help="Index, if the task is mapped. Airflow does not export it: '{{ ti.map_index }}'.",
    ),
    option(
        "--xcom-task-id",
        metavar="ID",
        help="Send to this task of the same DAG run instead; its XComs survive a retry of yours.",
    ),
    option(
        "--wire",
        type=click.Choice(("relay", "cosmos")),
        default="relay",
        show_default=True,
        help="'cosmos' stands for --sink cosmos in place of the sink airflow.",
    ),
    option("--key-prefix", default="", metavar="TEXT", help="Put before each XCom key."),
    option(
        "--max-message-bytes",
        type=click.IntRange(min=256),
        default=16_384,
        show_default=True,
        metavar="BYTES",
        help="Cut longer messages in the middle. Airflow's audit log keeps every value again.",
    ),
    option(
        "--strict-delivery/--no-strict-delivery",
        default=False,
        help="End with 75 if dbt ended with 0 and not every record was delivered.",
    ),
)
_STATE: Final = (
    option(
        "--state-dir",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help="Folder of the journal. Default: $XDG_STATE_HOME/dbt-relay, which is "
        "~/.local/state/dbt-relay.",
    ),
)
_KEEPING: Final = (
    option(
        "--keep-runs",
        type=click.IntRange(min=1),
        default=Keeping().runs,
        show_default=True,
        metavar="N",
        help="How many runs the journal keeps, besides those with records that still wait.",
    ),
    option(
        "--keep-days",
        type=click.FloatRange(min=0),
        default=Keeping().days,
        show_default=True,
        metavar="DAYS",
        help="How long the journal keeps a run, even one with records that still wait.",
    ),
)


def relay_options(command: Callable[..., R]) -> Callable[..., R]:
    """Add the options on where records go and what is kept of them: `settings`, RelaySettings."""

    def settings(given: dict[str, Any]) -> RelaySettings:
        airflow = "cosmos" if given["wire"] == "cosmos" else "airflow"
        return RelaySettings(
            sinks=tuple(airflow if sink == "airflow" else sink for sink in given["sinks"]),
            airflow=AirflowAccess(_place(given), _connection(given), _xcoms(given)),
            sending=_sending(given),
            keeping=_keeping(given),
            default_sink=airflow,
            is_strict=given["strict_delivery"],
        )

    where = (*_SINK, *_ADDRESS, *_SENDING, *_DAG_RUN, *_PLACE)
    return _with(command, settings, (*where, *_STATE, *_KEEPING))


def journal_options(command: Callable[..., R]) -> Callable[..., R]:
    """Add the option on where the journal is: `settings`, Keeping."""
    return _with(command, _keeping, _STATE)


def connection_options(command: Callable[..., R]) -> Callable[..., R]:
    """Add the options on how to reach an Airflow that the journal names: `settings`, Reaching."""

    def settings(given: dict[str, Any]) -> Reaching:
        return Reaching(_connection(given), _sending(given), _keeping(given))

    return _with(command, settings, (*_ADDRESS, *_SENDING, *_STATE))


def reading_options(command: Callable[..., R]) -> Callable[..., R]:
    """Add the options on which DAG run of which Airflow to read: `connection` and `dag_run`, which
    is a Place without a task."""

    def settings(given: dict[str, Any]) -> tuple[Connection, Place]:
        return _connection(given), Place(given["dag_id"], given["run_id"])

    return _with(command, settings, (*_ADDRESS, *_DAG_RUN))


def _place(given: Mapping[str, Any]) -> Place:
    return Place(
        given["dag_id"], given["run_id"], given["task_id"], given["map_index"], given["try_number"]
    )


def _connection(given: Mapping[str, Any]) -> Connection:
    source = click.get_current_context().get_parameter_source("airflow_url")
    return Connection(
        given["airflow_url"],
        source is ParameterSource.COMMANDLINE,
        given["ca_file"],
        given["proxy"],
    )


def _xcoms(given: Mapping[str, Any]) -> XComForm:
    return XComForm(given["xcom_task_id"], given["key_prefix"], given["max_message_bytes"])


def _sending(given: Mapping[str, Any]) -> Sending:
    return Sending(given["workers"], given["flush_timeout"])


def _keeping(given: Mapping[str, Any]) -> Keeping:
    defaults = Keeping()
    return Keeping(
        given["state_dir"],
        given.get("keep_runs", defaults.runs),
        given.get("keep_days", defaults.days),
    )


def _with(
    command: Callable[..., R],
    build: Callable[[dict[str, Any]], object],
    options: Sequence[Callable[[Any], Any]],
) -> Callable[..., R]:
    """Add options to a command, which gets what `build` makes of them as `settings`."""

    @functools.wraps(command)
    def call(**given: Any) -> R:
        taken = {name: given.pop(name) for name in names}
        return command(settings=build(taken), **given)

    before = {id(p) for p in getattr(call, "__click_params__", ())}
    for add in reversed(options):
        add(call)
    parameters: list[click.Parameter] = getattr(call, "__click_params__")  # noqa: B009 - click's own
    names = [str(p.name) for p in parameters if id(p) not in before]
    return call


CREDENTIALS = """\b
Credentials for Airflow, from the environment only:
  DBT_RELAY_AIRFLOW_TOKEN          a bearer token
  DBT_RELAY_AIRFLOW_TOKEN_FILE     a file that holds one; read again when it expires
  DBT_RELAY_AIRFLOW_TOKEN_COMMAND  a command that prints one; run again when it expires
  DBT_RELAY_AIRFLOW_USERNAME and DBT_RELAY_AIRFLOW_PASSWORD
"""
