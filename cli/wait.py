"""`dbt-relay wait`: end as a dbt node did that another task runs."""

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
from .options import CREDENTIALS, option, reading_options
from .output.notice import notice
from .settings import (
    AirflowAccess,
    ConfigurationError,
    Keeping,
    RelaySettings,
    Sending,
    XComForm,
)
from .waiting import Wait, WaitSettings

if TYPE_CHECKING:
    from .settings import Connection, Place

HELP: Final = """Wait for dbt nodes that another task builds with `dbt-relay run`; end as they did.

Each one's result is printed once, with the full text of an error.

Ends with 0 if they succeeded, 1 if one failed, 99 if they were skipped, 124 after --timeout.

\b
Examples:
  dbt-relay wait --task-id dbt model.jaffle.orders
  dbt-relay wait --task-id dbt --prefix model.jaffle.stg_    all that begin so, when dbt has ended
  dbt-relay wait --task-id dbt model.jaffle.orders --or-run -- dbt build --select orders
"""
_FORMER: Final = re.compile(r"--select(?=$|=)")
_EXIT: Final = {"success": 0, "fail": 1, "skip": exit_codes.SKIP}


class _WithCommand(click.Command):
    """What follows `--` is a command, and no UNIQUE_ID."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own, command = args, list[str]()
        if "--" in args:
            at = args.index("--")
            own, command = args[:at], args[at + 1 :]
        ctx.meta["command"] = tuple(command)
        renamed = [_FORMER.sub("--prefix", word) for word in own]
        if renamed != own:
            notice("--select is called --prefix now, as it takes no selection of dbt's")
        return super().parse_args(ctx, renamed)


@click.command(
    cls=_WithCommand,
    help=HELP,
    epilog=CREDENTIALS,
)
@click.option("--task-id", required=True, metavar="ID", help="The task that runs dbt.")
@reading_options
@option(
    "--try-number",
    context="AIRFLOW_CTX_TRY_NUMBER",
    type=click.IntRange(min=1),
    default=1,
    metavar="N",
    help="The try of the task that waits.",
)
@click.option(
    "--map-index",
    type=click.IntRange(min=-1),
    default=-1,
    show_default=True,
    metavar="N",
    help="Which instance of the task that runs dbt, if it is mapped.",
)
@option("--xcom-task-id", metavar="ID", help="The task that holds the records, if it is another.")
@option("--key-prefix", default="", metavar="TEXT", help="What is before each XCom key.")
@click.option(
    "--prefix",
    "prefixes",
    multiple=True,
    metavar="PREFIX",
    help="Every node of the run whose unique_id begins so. Repeatable. Decided when dbt has ended, "
    "and green only if the run left nothing out.",
)
@option(
    "--poll",
    type=click.FloatRange(min=0.1),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between two looks; up to a fifth more or less, so that not all look at once.",
)
@option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=86_400.0,
    show_default=True,
    metavar="SECONDS",
    help="Give up after this time, and end with 124.",
)
@option(
    "--on-missing",
    type=click.Choice(("fail", "skip", "success")),
    default="fail",
    show_default=True,
    help="What a node counts as that was not part of the run.",
)
@option(
    "--on-upstream-failed",
    type=click.Choice(("fail", "skip")),
    default="fail",
    show_default=True,
    help="What a node counts as that dbt skipped after a failure.",
)
@click.option(
    "--or-run",
    is_flag=True,
    help="On a later try of this task, when the other has ended: run the command after `--`, which "
    "is dbt with this node selected, and renew its record.",
)
@click.argument("unique_ids", nargs=-1, metavar="[UNIQUE_ID]...")
@click.pass_context
def wait(
    ctx: click.Context,
    unique_ids: tuple[str, ...],
    settings: tuple[Connection, Place],
    **given: Any,
) -> int:
    connection, dag_run = settings
    waits = WaitSettings(
        command=ctx.meta["command"],
        unique_ids=tuple(map(_as_utf8, unique_ids)),
        prefixes=tuple(map(_as_utf8, given["prefixes"])),
        airflow=AirflowAccess(
            replace(dag_run, task_id=given["task_id"], map_index=given["map_index"]),
            connection,
            XComForm(given["xcom_task_id"], key_prefix=given["key_prefix"]),
        ),
        attempt=given["try_number"],
        policy=Policy(given["on_missing"], given["on_upstream_failed"], given["or_run"]),
        poll=given["poll"],
        timeout=given["timeout"],
    )
    waits.check()
    if missing := waits.airflow.missing(os.environ):
        raise ConfigurationError(f"to read from Airflow, set {' and '.join(missing)}")
    airflow = waits.airflow.settings(os.environ)
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, _end)
    watch = Watch(airflow)
    try:
        decision = Wait(watch, airflow, waits).decision()
    finally:
        watch.close()
    if decision is None:
        notice(f"gave up after --timeout, {waits.timeout:g} s")
        return exit_codes.TIMED_OUT
    if decision.action == "run":
        notice(f"running it here: {' '.join(waits.command)}")
        return _run(waits)
    return _EXIT[decision.action]


def _as_utf8(word: str) -> str:
    """A word of the command line, as UTF-8 if it is that: Python has decoded it by the locale, and
    under LANG=C what is not ASCII became surrogates."""
    try:
        return os.fsencode(word).decode("utf-8")
    except UnicodeError:
        return word


def _run(waits: WaitSettings) -> int:
    """Run the command in place of the node's own run, and renew its record."""
    from .run import run_again  # noqa: PLC0415 - only for --or-run

    access = waits.airflow
    settings = RelaySettings((), access, Sending(), Keeping())
    return run_again(waits.command, settings, access.place.named.task_id, grace=10.0)


def _end(signum: int, _: object) -> NoReturn:
    sys.exit(128 + signum)
