"""Options that commands share: where the records go, and where they are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import click

from ..sinks import KEEP_DAYS, KEEP_RUNS
from ..sinks.airflow import WIRES

P = ParamSpec("P")
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
        help="Where records go: 'airflow', or 'jsonl:PATH' ('jsonl:-' is stdout). Repeatable. "
        "Default: airflow where --dag-id, --run-id and --task-id are known, as in an Airflow task; "
        "none elsewhere.",
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
        type=click.Choice(WIRES),
        default=WIRES[0],
        show_default=True,
        help="Form of the XComs: the relay's own records, or what the sensors of Astronomer Cosmos "
        "1.15 read of their producer.",
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
        default=KEEP_RUNS,
        show_default=True,
        metavar="N",
        help="How many runs the journal keeps, besides those with records that still wait.",
    ),
    option(
        "--keep-days",
        type=click.FloatRange(min=0),
        default=KEEP_DAYS,
        show_default=True,
        metavar="DAYS",
        help="How long the journal keeps a run, even one with records that still wait.",
    ),
)


def delivery_options(command: Any) -> Any:
    """Add the options on where the records go, and what is kept of them."""
    where = (*_SINK, *_ADDRESS, *_SENDING, *_DAG_RUN, *_PLACE)
    return _decorate(command, *where, *_STATE, *_KEEPING)


def state_option(command: Any) -> Any:
    """Add the option on where the journal is."""
    return _decorate(command, *_STATE)


def connection_options(command: Any) -> Any:
    """Add the options on how to reach an Airflow that is named elsewhere."""
    return _decorate(command, *_ADDRESS, *_SENDING, *_STATE)


def reading_options(command: Any) -> Any:
    """Add the options on which DAG run of which Airflow to read."""
    return _decorate(command, *_ADDRESS, *_DAG_RUN)


def _decorate(command: Any, *decorators: Any) -> Any:
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


CREDENTIALS = """\b
Credentials for Airflow, from the environment only:
  DBT_RELAY_AIRFLOW_TOKEN          a bearer token
  DBT_RELAY_AIRFLOW_TOKEN_FILE     a file that holds one; read again when it expires
  DBT_RELAY_AIRFLOW_TOKEN_COMMAND  a command that prints one; run again when it expires
  DBT_RELAY_AIRFLOW_USERNAME and DBT_RELAY_AIRFLOW_PASSWORD
"""
