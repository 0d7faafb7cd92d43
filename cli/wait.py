"""`dbt-relay wait`: end as a dbt node did that another task runs."""

from __future__ import annotations

import os
import random
import re
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from ..consumer.waiting.decision import Decision, OnMissing, OnUpstreamFailed, Policy, combine
from ..consumer.waiting.look import Waiting, look
from ..consumer.waiting.prefixes import look_at_prefixes
from ..sinks.airflow import UnreadError, Watch, read_records
from ..sinks.sink import Hold, Retry
from . import exit_codes
from .options import CREDENTIALS, option, reading_options
from .output import streams
from .output.notice import note
from .relay.destination import ConfigurationError, airflow_of
from .run import run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..records.schema import Record
    from ..sinks.airflow import AirflowSettings

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
_JITTER: Final = 0.2
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
            note("--select is called --prefix now, as it takes no selection of dbt's")
        return super().parse_args(ctx, renamed)


@click.command(
    cls=_WithCommand,
    help=HELP,
    epilog=CREDENTIALS,
    short_help="Wait for a node, and end as it did.",
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
def wait(ctx: click.Context, unique_ids: tuple[str, ...], **options: Any) -> int:
    command: tuple[str, ...] = ctx.meta["command"]
    options["prefixes"] = tuple(map(_as_utf8, options["prefixes"]))
    unique_ids = tuple(map(_as_utf8, unique_ids))
    _check(unique_ids, options, command)
    settings, missing = airflow_of({**options, "max_message_bytes": 0}, os.environ)
    if settings is None or missing:
        raise ConfigurationError(f"to read from Airflow, set {' and '.join(missing)}")
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, _end)
    watch = Watch(settings)
    try:
        decision = _Wait(watch, settings, unique_ids, options).decision()
    finally:
        watch.close()
    if decision is None:
        note(f"gave up after --timeout, {options['timeout']:g} s")
        return exit_codes.TIMED_OUT
    if decision.action == "run":
        note(f"running it here: {' '.join(command)}")
        return _run(settings, command)
    return _EXIT[decision.action]


class _Wait:
    """Looks until there is a decision, and prints what it is of each node."""

    def __init__(
        self,
        watch: Watch,
        settings: AirflowSettings,
        unique_ids: Sequence[str],
        options: dict[str, Any],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        on_missing: OnMissing = options["on_missing"]
        on_upstream_failed: OnUpstreamFailed = options["on_upstream_failed"]
        self._waiting = Waiting(
            unique_ids=tuple(unique_ids),
            dag_id=settings.dag_id,
            run_id=settings.run_id,
            task_id=settings.task_id,
            map_index=settings.map_index,
            xcom_task_id=settings.xcom_task_id,
            key_prefix=settings.key_prefix,
            attempt=options["try_number"],
            policy=Policy(on_missing, on_upstream_failed, options["or_run"]),
        )
        self._watch = watch
        self._settings = settings
        self._prefixes: tuple[str, ...] = options["prefixes"]
        self._poll: float = options["poll"]
        self._timeout: float = options["timeout"]
        self._clock = clock
        self._sleep = sleep
        self._known: dict[str, Decision] = {}
        self._printed: set[str] = set()
        self._noted: str | None = None

    def decision(self) -> Decision | None:
        """None if the time is up. Raises ConfigurationError for what no waiting mends."""
        until = self._clock() + self._timeout
        while True:
            pause = self._poll * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - no secret
            try:
                decision = self._look()
            except UnreadError as error:
                if isinstance(error.verdict, Hold):
                    raise ConfigurationError(str(error)) from error
                self._note(f"{error}; trying again")
                pause = max(pause, error.verdict.after or 0)
            else:
                self._print()
                if decision.action != "wait":
                    return decision
                self._note(decision.reason)
            left = until - self._clock()
            if left <= 0:
                return None
            self._sleep(min(pause, left))

    def _look(self) -> Decision:
        if not self._prefixes:
            return look(self._waiting, self._watch, self._known)
        self._known = look_at_prefixes(self._waiting, self._watch, self._prefixes, self._records)
        if not self._known:
            return Decision("wait", "the task that runs dbt has not ended")
        return combine(list(self._known.values()))

    def _records(self) -> dict[str, Record]:
        found = read_records(self._settings)
        if isinstance(found, (Retry, Hold)):
            raise UnreadError(found)
        return found

    def _print(self) -> None:
        for unique_id, decision in self._known.items():
            if unique_id not in self._printed:
                self._printed.add(unique_id)
                streams.say(decision.reason)

    def _note(self, reason: str) -> None:
        """A line only where something is new: a task may look for hours."""
        if reason != self._noted:
            self._noted = reason
            note(reason)


def _as_utf8(word: str) -> str:
    """A word of the command line, as UTF-8 if it is that: Python has decoded it by the locale, and
    under LANG=C what is not ASCII became surrogates."""
    try:
        return os.fsencode(word).decode("utf-8")
    except UnicodeError:
        return word


def _check(unique_ids: Sequence[str], options: dict[str, Any], command: Sequence[str]) -> None:
    if not unique_ids and not options["prefixes"]:
        raise click.UsageError(
            "name the nodes to wait for: model.jaffle.orders, or --prefix PREFIX"
        )
    for unique_id in unique_ids:
        if unique_id.count(".") < 2:
            raise click.UsageError(
                f"{unique_id!r} is no unique_id, such as model.jaffle.orders: `dbt-relay show` "
                "lists those of a run, `dbt ls --output json --output-keys unique_id` all"
            )
    if options["or_run"] != bool(command):
        raise click.UsageError(
            "--or-run goes with a command: --or-run -- dbt build --select orders"
        )


def _run(settings: AirflowSettings, command: Sequence[str]) -> int:
    to = settings
    given = {
        "--airflow-url": to.url,
        "--dag-id": to.dag_id,
        "--run-id": to.run_id,
        "--renew": to.task_id,
        "--map-index": str(to.map_index),
        "--xcom-task-id": to.xcom_task_id,
        "--key-prefix": to.key_prefix,
        "--ca-file": to.ca_file and str(to.ca_file),
        "--proxy": to.proxy,
    }
    words = [word for name, value in given.items() if value for word in (name, value)]
    return run.main([*words, "--", *command], prog_name="dbt-relay run", standalone_mode=False)


def _end(signum: int, _: object) -> NoReturn:
    sys.exit(128 + signum)
