"""`dbt-relay replay`: the records of a saved log."""

from __future__ import annotations

import gzip
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ..parser.records import RunRecord
from ..parser.secrets import Secrets
from . import dbt, exit_codes
from .console import Console
from .deadline import Deadline
from .destination import Destination
from .ending import end, now
from .options import CREDENTIALS, delivery_options, option
from .recording import Recording
from .relay import Relay
from .state import open_journal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

HELP: Final = """Publish the records of a saved JSON log of dbt: LOG, or - for standard input.

LOG may be compressed (.gz), of any level, and hold several runs. A node that never ended in it is
published as interrupted.

\b
Examples:
  dbt-relay replay --sink jsonl:- logs/dbt.log
  dbt-relay replay saved.jsonl.gz
  kubectl logs my-pod | dbt-relay replay --sink airflow -
"""
_CHUNK: Final = 1 << 16


@click.command(
    help=HELP,
    epilog=CREDENTIALS,
    short_help="Relay the results in a saved log.",
)
@delivery_options
@option(
    "--target-path",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("target"),
    show_default=True,
    help="Where run_results.json and manifest.json of the same run may lie; others are ignored.",
)
@click.argument("log", default="-", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
def replay(log: str, target_path: Path, **options: Any) -> int:
    destination = Destination.choose(options, os.environ)
    for note in destination.notes:
        click.echo(f"relay: {note}", err=True)
    console = Console((sys.stderr if destination.owns_stdout else sys.stdout).buffer)
    started = RunRecord(
        state="running", command=f"replay {log}", started_at=now(), attempt=destination.attempt
    )
    info = destination.run_info(("replay", log), started.started_at or "", target_path.absolute())
    with (
        open_journal(options, os.environ) as journal,
        Recording(lambda: destination.open(journal.begin(info)), started) as recording,
    ):
        relay = Relay(
            console,
            recording.put,
            begin=recording.begin,
            secrets=Secrets(dbt.secrets_of(os.environ)),
            target_dir=target_path,
            attempt=destination.attempt,
            with_tests=destination.is_watched,
        )
        try:
            for chunk in _chunks(log):
                relay.feed(chunk)
        except (OSError, EOFError) as error:
            click.echo(f"relay: {log} cannot be read to its end: {error}", err=True)
        relay.end(None)
        if not relay.run.invocations:
            click.echo(
                f"relay: there is no event of dbt in {log}: it has to be written with "
                "--log-format json, or --log-format-file json for logs/dbt.log",
                err=True,
            )
            return exit_codes.NO_EVENTS
        return end(
            relay=relay,
            console=console,
            destination=destination,
            journal=journal,
            recording=recording,
            ended=None,
            deadline=Deadline(destination.flush_timeout),
            options=options,
        )


def _chunks(log: str) -> Iterator[bytes]:
    if log == "-":
        yield from _read(sys.stdin.buffer)
        return
    with Path(log).open("rb") as file:
        is_compressed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if is_compressed:
            with gzip.open(file) as text:
                yield from _read(text)  # type: ignore[arg-type]
        else:
            yield from _read(file)


def _read(file: BinaryIO) -> Iterator[bytes]:
    read = getattr(file, "read1", file.read)
    while chunk := read(_CHUNK):
        yield chunk
