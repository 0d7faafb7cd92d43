"""`dbt-relay run`: start dbt, relay its results, end as it ends."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ..parser.exits import Exit
from ..parser.records import RunRecord
from ..parser.secrets import Secrets
from . import dbt
from .child import CannotStartError, Child
from .console import Console
from .destination import Destination
from .ending import end, now
from .options import CREDENTIALS, delivery_options, option
from .relay import Relay
from .signals import STOP, Signals
from .state import open_journal

if TYPE_CHECKING:
    from collections.abc import Iterator

HELP: Final = """Run COMMAND, which is dbt or ends in dbt, and publish one record per node.

The output is what dbt itself would print. The exit code is dbt's.

\b
Examples:
  dbt-relay run -- dbt build --select tag:daily
  dbt-relay run --sink airflow --sink jsonl:records.jsonl -- dbt run
  dbt-relay run -- uv run dbt build
  dbt-relay run -- ./nightly.sh         a script that ends in dbt
"""
NO_LOG: Final = (
    "no event of dbt's log came through, so there are no records. If the command runs dbt, it may "
    "set a --log-format or --quiet of its own, or hide dbt's output"
)
FLUSH_WHEN_STOPPED: Final = 10.0
FLUSH_WHEN_TOLD_TWICE: Final = 1.0
"""Seconds for the last deliveries of a relay that was told to stop, once or twice."""


@click.command(
    context_settings={"allow_interspersed_args": False},
    help=HELP,
    epilog=CREDENTIALS,
    short_help="Run dbt and relay its results.",
)
@delivery_options
@option(
    "--grace",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long dbt may cancel its queries when the relay is told to stop.",
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(command: tuple[str, ...], grace: float, **options: Any) -> int:
    destination = Destination.choose(options, os.environ)
    is_terminal = sys.stdout.isatty()
    prepared = dbt.prepare(command, os.environ, is_terminal=is_terminal, cwd=Path.cwd())
    console = Console(
        (sys.stderr if destination.owns_stdout else sys.stdout).buffer,
        level=prepared.level,
        quiet=prepared.quiet,
        style=prepared.style,
        colours=prepared.colours,
    )
    for note in (*destination.notes, *_notes(prepared)):
        click.echo(f"relay: {note}", err=True)
    _let_go_of_stdin()

    with Signals() as signals:
        try:
            child = Child(prepared.argv, env=prepared.env, grace=grace, signals=signals)
        except CannotStartError as error:
            click.echo(f"relay: {error}", err=True)
            return error.exit_code
        started = RunRecord(
            state="running",
            command=shlex.join(command),
            started_at=now(),
            attempt=destination.attempt,
        )
        info = destination.run_info(command, started.started_at or "", prepared.target_dir)
        with (
            child,
            open_journal(options, os.environ) as journal,
            destination.open(journal.begin(info)) as delivery,
        ):
            relay = Relay(
                console,
                delivery.put,
                secrets=Secrets(dbt.secrets_of(os.environ)),
                target_dir=prepared.target_dir,
                attempt=destination.attempt,
            )
            delivery.put(started)
            for chunk in child.output():
                relay.feed(chunk)
                if relay.dbt_pid is not None:
                    child.dbt_is(relay.dbt_pid)
            ended = replace(child.exit or Exit(code=0), stopped_by=child.stopped_by)
            relay.end(ended)
            if prepared.is_wrapped and not relay.run.invocations:
                click.echo(f"relay: {NO_LOG}", err=True)
            patience = destination.flush_timeout
            if child.stopped_by is not None:
                patience = min(
                    patience, FLUSH_WHEN_TOLD_TWICE if child.told_twice else FLUSH_WHEN_STOPPED
                )
            return end(
                relay=relay,
                console=console,
                destination=destination,
                journal=journal,
                delivery=delivery,
                started=started,
                ended=ended,
                flush_timeout=patience,
                interrupted=lambda: any(signum in STOP for signum in signals.take()),
                options=options,
            )


def _notes(prepared: dbt.DbtCommand) -> Iterator[str]:
    if prepared.removed:
        yield (
            f"{', '.join(prepared.removed)} is not passed on to dbt, whose full log is needed; "
            "what is printed here follows it all the same"
        )


def _let_go_of_stdin() -> None:
    """In an Airflow task standard input is the supervisor's socket, and who holds it open keeps
    the task `running` for a minute after its end (Airflow 3.3)."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
