"""`dbt-relay wait`: wait for a dbt node that another task runs, and end as the node did."""

from __future__ import annotations

import os
import re
import signal
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from ..consumer.waiting.decision import Policy
from ..sinks.airflow.reading import Watch
from . import exit_codes
from .options import CREDENTIALS, READING_OPTIONS, connection, option, with_settings
from .output.notice import notice
from .settings import AirflowAccess, ConfigurationError, Place, XComForm
from .waiting import Wait, WaitSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HELP: Final = """Wait for dbt nodes that another task builds with `dbt-relay run`; end as they did.

Prints the result of each node once, with the full text of an error.

Ends with 0 if they succeeded, 1 if one failed, 99 if they were skipped, 124 after --timeout.

\b
Examples:
  dbt-relay wait --task-id dbt model.jaffle.orders
  dbt-relay wait --task-id dbt --prefix model.jaffle.stg_    every id that starts so
  dbt-relay wait --task-id dbt model.jaffle.orders --or-run -- dbt build --select orders
"""
_FORMER: Final = re.compile(r"--select(?=$|=)")
_EXIT: Final = {"success": 0, "fail": 1, "skip": exit_codes.SKIP}


class _WithCommand(click.Command):
    """A command whose words after `--` are a command line, and no UNIQUE_ID."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own, command = args, list[str]()
        if "--" in args:
            at = args.index("--")
            own, command = args[:at], args[at + 1 :]
        ctx.meta["command"] = tuple(command)
        renamed = [_FORMER.sub("--prefix", word) for word in own]
        if renamed != own:
            notice("--select was renamed --prefix, because it is not dbt's node selection")
        return super().parse_args(ctx, renamed)


def _settings(given: Mapping[str, Any]) -> WaitSettings:
    place = Place(given["dag_id"], given["run_id"], given["task_id"], given["map_index"])
    xcoms = XComForm(given["xcom_task_id"], given["key_prefix"])
    return WaitSettings(
        AirflowAccess(place, connection(given), xcoms),
        prefixes=tuple(map(_as_utf8, given["prefixes"])),
        attempt=given["try_number"],
        policy=Policy(given["on_missing"], given["on_upstream_failed"], given["or_run"]),
        poll=given["poll"],
        timeout=given["timeout"],
    )


@click.command(
    cls=_WithCommand,
    help=HELP,
    epilog=CREDENTIALS,
)
@with_settings(
    _settings,
    # Variables of the usual names are of the task that waits.
    option(
        "--task-id",
        variable="DBT_RELAY_WAIT_TASK_ID",
        required=True,
        metavar="ID",
        help="The task that runs dbt.",
    ),
    *READING_OPTIONS,
    option(
        "--try-number",
        context="AIRFLOW_CTX_TRY_NUMBER",
        type=click.IntRange(min=1),
        default=1,
        metavar="N",
        help="The try of the task that waits.",
    ),
    option(
        "--map-index",
        variable="DBT_RELAY_WAIT_MAP_INDEX",
        type=click.IntRange(min=-1),
        default=-1,
        show_default=True,
        metavar="N",
        help="Index of the task that runs dbt, if that task is mapped.",
    ),
    option(
        "--xcom-task-id",
        metavar="ID",
        help="The task that holds the records, if it is not the task that runs dbt.",
    ),
    option("--key-prefix", default="", metavar="TEXT", help="Text in front of each XCom key."),
    option(
        "--prefix",
        "prefixes",
        multiple=True,
        metavar="PREFIX",
        help="Every node of the run whose unique_id starts with PREFIX. Repeatable. The result is "
        "known when dbt has ended. It is a success only if no node is missing.",
    ),
    option(
        "--poll",
        type=click.FloatRange(min=0.1),
        default=10.0,
        show_default=True,
        metavar="SECONDS",
        help="Time between two checks, up to 20 % more or less, so that tasks do not all "
        "check at once.",
    ),
    option(
        "--timeout",
        type=click.FloatRange(min=0),
        default=86_400.0,
        show_default=True,
        metavar="SECONDS",
        help="Give up after this time, and end with 124.",
    ),
    option(
        "--on-missing",
        type=click.Choice(("fail", "skip", "success")),
        default="fail",
        show_default=True,
        help="Result for a node that was not in the run.",
    ),
    option(
        "--on-upstream-failed",
        type=click.Choice(("fail", "skip")),
        default="fail",
        show_default=True,
        help="Result for a node that dbt skipped after a failure.",
    ),
    option(
        "--or-run/--no-or-run",
        default=False,
        help="On a later try of this task, once the task that runs dbt has ended: run the command "
        "after `--`, such as dbt with this node selected, and renew the node's record.",
    ),
)
@click.argument("unique_ids", nargs=-1, metavar="[UNIQUE_ID]...")
def wait(settings: WaitSettings, unique_ids: tuple[str, ...]) -> int:
    command: tuple[str, ...] = click.get_current_context().meta["command"]
    unique_ids = tuple(map(_as_utf8, unique_ids))
    _check(unique_ids, settings, command)
    if missing := settings.airflow.missing(os.environ):
        raise ConfigurationError(f"to read from Airflow, set {' and '.join(missing)}")
    airflow = settings.airflow.settings(os.environ)
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, _end)
    watch = Watch(airflow)
    try:
        decision = Wait(watch, airflow, unique_ids, settings).decision()
    finally:
        watch.close()
    if decision is None:
        notice(f"gave up after --timeout, {settings.timeout:g} s")
        return exit_codes.TIMED_OUT
    if decision.action == "run":
        notice(f"running it here: {' '.join(command)}")
        return _run_here(command, settings.airflow)
    return _EXIT[decision.action]


def _as_utf8(word: str) -> str:
    """A word of the command line, decoded as UTF-8 if it is UTF-8.

    Python decodes by the locale: under LANG=C it makes surrogates of all but ASCII.
    """
    try:
        return os.fsencode(word).decode("utf-8")
    except UnicodeError:
        return word


def _check(unique_ids: Sequence[str], settings: WaitSettings, command: Sequence[str]) -> None:
    """Raises click.UsageError for a call that asks for nothing, or for what cannot be."""
    if not unique_ids and not settings.prefixes:
        raise click.UsageError(
            "name the nodes to wait for: model.jaffle.orders, or --prefix PREFIX"
        )
    for unique_id in unique_ids:
        if unique_id.count(".") < 2:
            raise click.UsageError(
                f"{unique_id!r} is not a unique_id. A unique_id looks like model.jaffle.orders. "
                "`dbt-relay show` lists the ids of a run; `dbt ls --output json --output-keys "
                "unique_id` lists all ids"
            )
    if settings.policy.can_run != bool(command):
        raise click.UsageError(
            "--or-run goes with a command: --or-run -- dbt build --select orders"
        )


def _run_here(command: tuple[str, ...], access: AirflowAccess) -> int:
    """Run the command as `run --renew` does, for the task that was waited for.

    The variables of `run` say the rest: its sinks, its state folder, its grace.
    """
    from .run import run_dbt, settings_of_variables  # noqa: PLC0415 - few waits end here

    usual = settings_of_variables(command)
    there, airflow = access.place, usual.relay.airflow
    place = replace(
        airflow.place, dag_id=there.dag_id, run_id=there.run_id, map_index=there.map_index
    )
    xcoms = replace(airflow.xcoms, task_id=access.xcoms.task_id, key_prefix=access.xcoms.key_prefix)
    relay = replace(usual.relay, airflow=AirflowAccess(place, access.connection, xcoms))
    return run_dbt(command, replace(usual, relay=relay, renewed_task_id=there.task_id))


def _end(signum: int, _: object) -> NoReturn:
    sys.exit(128 + signum)
