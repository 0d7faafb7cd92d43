"""Options that `run` and `replay` share: where the records go."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import click

P = ParamSpec("P")
R = TypeVar("R")


def option(*names: str, context: str | None = None, **attributes: Any) -> Any:
    """A click option with its variable: `DBT_RELAY_` and its name, then Airflow's own, if any."""
    name = next(n for n in names if n.startswith("--")).partition("/")[0]
    variables = ["DBT_RELAY_" + name.removeprefix("--").replace("-", "_").upper()]
    if context is not None:
        variables.append(context)
    return click.option(*names, envvar=variables, show_envvar=True, **attributes)


_DELIVERY: Final = (
    option(
        "--sink",
        "sinks",
        multiple=True,
        metavar="SINK",
        help="Where records go: 'airflow', or 'jsonl:PATH' ('jsonl:-' is stdout). Repeatable. "
        "Default: airflow inside an Airflow task, none elsewhere.",
    ),
    option(
        "--airflow-url",
        context="AIRFLOW__API__BASE_URL",
        metavar="URL",
        help="Airflow's address, with or without /api/v2.",
    ),
    option("--dag-id", context="AIRFLOW_CTX_DAG_ID", metavar="ID", help="The DAG."),
    option("--run-id", context="AIRFLOW_CTX_DAG_RUN_ID", metavar="ID", help="The DAG run."),
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
    option("--key-prefix", default="", metavar="TEXT", help="Put before each XCom key."),
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
    option(
        "--max-message-bytes",
        type=click.IntRange(min=256),
        default=16_384,
        show_default=True,
        metavar="BYTES",
        help="Cut longer messages in the middle. Airflow's audit log keeps every value again.",
    ),
    option(
        "--ca-file",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="CA certificates for Airflow's TLS.",
    ),
    option("--proxy", metavar="URL", help="HTTP proxy to Airflow."),
    option(
        "--strict-delivery/--no-strict-delivery",
        default=False,
        help="End with 75 if dbt ended with 0 and not every record was delivered.",
    ),
)


def delivery_options(command: Any) -> Any:
    """Add the options on where the records go."""
    for decorate in reversed(_DELIVERY):
        command = decorate(command)
    return command


CREDENTIALS = """\b
Credentials for Airflow, from the environment only:
  DBT_RELAY_AIRFLOW_TOKEN          a bearer token
  DBT_RELAY_AIRFLOW_TOKEN_FILE     a file that holds one; read again when it expires
  DBT_RELAY_AIRFLOW_TOKEN_COMMAND  a command that prints one; run again when it expires
  DBT_RELAY_AIRFLOW_USERNAME and DBT_RELAY_AIRFLOW_PASSWORD
"""
