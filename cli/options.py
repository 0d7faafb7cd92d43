"""Options that commands share, and the settings that they become."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from click.core import ParameterSource

from .settings import (
    AirflowAccess,
    Calls,
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


def option(
    *names: str, variable: str | None = None, context: str | None = None, **attributes: Any
) -> Any:
    """A click option with its variable: `DBT_RELAY_` and its name, or `variable`.

    `context` is Airflow's own variable, if there is one.
    """
    name = next(n for n in names if n.startswith("--")).partition("/")[0]
    variables = [variable or "DBT_RELAY_" + name.removeprefix("--").replace("-", "_").upper()]
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
        "1.15 read), 'openlineage', 'otlp' (OpenTelemetry), or 'jsonl:PATH' ('jsonl:-' is "
        "stdout). Repeatable. Default: airflow if --dag-id, --run-id and --task-id are known, as "
        "in an Airflow task; otherwise none.",
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
        help="Threads that send to Airflow. More than one can make an Airflow with a SQLite "
        "database fail.",
    ),
    option(
        "--flush-timeout",
        type=click.FloatRange(min=0),
        default=30.0,
        show_default=True,
        metavar="SECONDS",
        help="How long to go on delivering after the end of dbt or of the log; with `deliver`, for "
        "each sink of a run.",
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
        help="Index, if the task is mapped. Airflow does not set it: pass '{{ ti.map_index }}'.",
    ),
    option(
        "--xcom-task-id",
        metavar="ID",
        help="Write the records to this task of the same DAG run. They survive a retry of the "
        "task that runs dbt.",
    ),
    option(
        "--wire",
        type=click.Choice(("relay", "cosmos")),
        default="relay",
        show_default=True,
        help="Old form: --wire cosmos means --sink cosmos instead of --sink airflow.",
    ),
    option("--key-prefix", default="", metavar="TEXT", help="Text in front of each XCom key."),
    option(
        "--max-message-bytes",
        type=click.IntRange(min=256),
        default=16_384,
        show_default=True,
        metavar="BYTES",
        help="Cut longer messages in the middle. Airflow's audit log stores a second copy of every "
        "value.",
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
        help="How many runs the journal keeps. Runs with waiting records do not count.",
    ),
    option(
        "--keep-days",
        type=click.FloatRange(min=0),
        default=Keeping().days,
        show_default=True,
        metavar="DAYS",
        help="How long the journal keeps a run, even a run with waiting records.",
    ),
    option(
        "--keep-stats",
        type=click.FloatRange(min=0),
        default=Keeping().stats_days,
        show_default=True,
        metavar="DAYS",
        help="How long a few figures of each node and run are kept, for `stats` and `export`.",
    ),
)


AS_JSON: Final = option(
    "--json/--no-json", "as_json", default=False, help="Print JSON, one object a line."
)
"""Gives a command the option to print JSON: `as_json`."""


PROGRESS: Final = option(
    "--progress/--no-progress",
    default=None,
    help="Show a live panel below the lines. Default: on a terminal, outside CI and Airflow.",
)
"""Gives a command the option on whether to show a panel: `progress` is None where nobody said."""

RELAY_OPTIONS: Final = (*_SINK, *_ADDRESS, *_SENDING, *_DAG_RUN, *_PLACE, *_STATE, *_KEEPING)
"""Where the records go, and what the journal keeps of them."""

READING_OPTIONS: Final = (*_ADDRESS, *_DAG_RUN)
"""Which DAG run of which Airflow to read."""

REPORT: Final = option(
    "--report",
    multiple=True,
    metavar="PATH",
    help="Write a report when the run is over: a page (.html), JUnit XML (.xml), Markdown (.md) or "
    "JSON (.json). 'github' prints annotations and adds to the summary of the job. Repeatable.",
)


def with_settings(build: Callable[[Mapping[str, Any]], object], *options: Any) -> Any:
    """Give options to a command function, which gets what `build` makes of them as `settings`.

    `build` takes the values of these options by click's names of them.
    """
    names = _names(options)

    def decorate(command: Callable[..., R]) -> Callable[..., R]:
        @functools.wraps(command)
        def call(**given: Any) -> R:
            taken = {name: given.pop(name) for name in names}
            return command(settings=build(taken), **given)

        return _decorated(call, options)

    return decorate


def _names(options: Sequence[Any]) -> list[str]:
    """What click calls these options."""

    def nothing() -> None: ...

    parameters: list[click.Parameter] = _decorated(nothing, options).__click_params__
    return [str(parameter.name) for parameter in parameters]


def _decorated(function: Any, options: Sequence[Any]) -> Any:
    for add in reversed(options):
        function = add(function)
    return function


def relay_settings(given: Mapping[str, Any]) -> RelaySettings:
    """From RELAY_OPTIONS, and `--note`, `--report` and the CALLS where the command has them."""
    airflow = "cosmos" if given["wire"] == "cosmos" else "airflow"
    place = Place(
        given["dag_id"], given["run_id"], given["task_id"], given["map_index"], given["try_number"]
    )
    xcoms = XComForm(given["xcom_task_id"], given["key_prefix"], given["max_message_bytes"])
    return RelaySettings(
        sinks=tuple(airflow if sink == "airflow" else sink for sink in given["sinks"]),
        airflow=AirflowAccess(place, connection(given), xcoms),
        sending=_sending(given),
        keeping=Keeping(
            given["state_dir"], given["keep_runs"], given["keep_days"], given["keep_stats"]
        ),
        default_sink=airflow,
        is_strict=given["strict_delivery"],
        writes_note=given.get("note", False),
        reports=given.get("report", ()),
        calls=Calls(given.get("on_failure", ()), given.get("on_end", ())),
    )


def connection(given: Mapping[str, Any]) -> Connection:
    """From the options on Airflow's address."""
    source = click.get_current_context().get_parameter_source("airflow_url")
    return Connection(
        given["airflow_url"],
        source is ParameterSource.COMMANDLINE,
        given["ca_file"],
        given["proxy"],
    )


def _sending(given: Mapping[str, Any]) -> Sending:
    return Sending(given["workers"], given["flush_timeout"])


def _reaching(given: Mapping[str, Any]) -> Reaching:
    return Reaching(connection(given), _sending(given), Keeping(given["state_dir"]))


relay_options = with_settings(relay_settings, *RELAY_OPTIONS)
"""Gives a command the options on where records go: `settings` is a RelaySettings."""

journal_options = with_settings(lambda given: Keeping(given["state_dir"]), *_STATE)
"""Gives a command the option on where the journal is: `settings` is a Keeping."""

connection_options = with_settings(_reaching, *_ADDRESS, *_SENDING, *_STATE)
"""Gives a command the options on how to reach an Airflow that the journal names: `settings` is a
Reaching."""

CREDENTIALS = """\b
Credentials for Airflow, from the environment only:
  DBT_RELAY_AIRFLOW_TOKEN          a bearer token
  DBT_RELAY_AIRFLOW_TOKEN_FILE     a file that holds one; read again when it expires
  DBT_RELAY_AIRFLOW_TOKEN_COMMAND  a command that prints one; run again when it expires
  DBT_RELAY_AIRFLOW_USERNAME and DBT_RELAY_AIRFLOW_PASSWORD
  DBT_RELAY_AIRFLOW_CONN_ID        an Airflow connection in AIRFLOW_CONN_…, with address and login
"""
