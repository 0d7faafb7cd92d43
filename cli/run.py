"""`dbt-relay run`: start dbt, relay its results, end as it ends."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from ..parser.records import RunRecord
from ..parser.secrets import Secrets
from . import dbt, exit_codes, report
from .child import CannotStart, Child
from .console import Console
from .destination import Destination
from .options import CREDENTIALS, delivery_options, option
from .relay import Relay
from .signals import Signals

EXAMPLES = """\b
Examples:
  dbt-relay run -- dbt build --select tag:daily
  dbt-relay run --sink airflow --sink jsonl:records.jsonl -- dbt run
  dbt-relay run -- uv run dbt build
  dbt-relay run -- ./nightly.sh      (a script that ends in dbt)
"""


@click.command(
    context_settings={"allow_interspersed_args": False},
    help=f"""{EXAMPLES}

    Run COMMAND, which is dbt or ends in dbt, and publish one record per node.

    The output is what dbt itself would print. The exit code is dbt's.
    """,
    epilog=CREDENTIALS,
    short_help="Run dbt and relay its results.",
)
@option(
    "--grace",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long dbt may cancel its queries when the relay is told to stop.",
)
@delivery_options
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(command: tuple[str, ...], grace: float, **options: Any) -> int:
    destination = Destination.choose(options, os.environ)
    prepared = dbt.prepare(
        command, os.environ, is_terminal=sys.stdout.isatty(), cwd=Path.cwd()
    )
    talk = sys.stderr if destination.owns_stdout else sys.stdout
    console = Console(
        talk.buffer,
        level=prepared.level,
        quiet=prepared.quiet,
        style=prepared.style,
        colours=prepared.colours,
    )
    for note in (*destination.notes, *_notes(prepared)):
        click.echo(f"relay: {note}", err=True)

    with Signals() as signals:
        try:
            child = Child(prepared.argv, env=prepared.env, grace=grace, signals=signals)
        except CannotStart as error:
            click.echo(f"relay: {error}", err=True)
            return error.exit_code
        with child, destination.open() as delivery:
            relay = Relay(
                console,
                delivery.put,
                secrets=Secrets(dbt.secrets_of(os.environ)),
                target_dir=prepared.target_dir,
                attempt=destination.attempt,
            )
            delivery.put(RunRecord(state="running", command=shlex.join(command)))
            for chunk in child.output():
                relay.feed(chunk)
            relay.end(child.exit)
            return 0
