"""`dbt-relay replay`: the records of a saved log."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Final

import click

from ..records.schema import RunRecord
from . import exit_codes
from .dbt.no_events import JSON_LOG, is_hopeless, reason
from .dbt.saved_log import SavedLog
from .options import CREDENTIALS, delivery_options, option
from .output.console import Console
from .output.masking import secrets_in
from .output.notice import note
from .relay.deadline import Deadline
from .relay.destination import Destination
from .relay.pipeline import Relay
from .relay.recording import Recording
from .relay.session import end, now
from .relay.state_folder import open_journal

HELP: Final = """Publish the records of a saved JSON log of dbt: LOG, or - for standard input.

LOG may be compressed (gzip, bzip2, xz), of any level, and hold several runs. What a collector of
logs puts around dbt's lines is taken off: a prefix, or JSON of its own. A node that never ended in
it is published as interrupted.

\b
Examples:
  dbt-relay replay --sink jsonl:- logs/dbt.log
  dbt-relay replay saved.jsonl.gz
  kubectl logs my-pod | dbt-relay replay --sink airflow -
"""
_PATIENCE: Final = 1 << 16
"""Bytes of a stream without an event, after which a person hears that there was none."""


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
    for line in destination.notes:
        note(line)
    saved = SavedLog(log)
    hopeless = is_hopeless(saved)
    if hopeless is not None:
        destination.close()
        return _refuse(saved, hopeless)
    secrets = secrets_in(os.environ, options)
    console = Console(
        (sys.stderr if destination.owns_stdout else sys.stdout).buffer, secrets=secrets
    )
    command = secrets.mask_command(("replay", log))
    started = RunRecord(
        state="running", command=" ".join(command), started_at=now(), attempt=destination.attempt
    )
    info = destination.run_info(command, started.started_at or "", target_path.absolute())
    with (
        open_journal(options, os.environ) as journal,
        Recording(
            lambda: destination.open(journal.begin(info)), started, close=destination.close
        ) as recording,
    ):
        relay = Relay(
            console,
            recording.put,
            begin=recording.begin,
            secrets=secrets,
            target_dir=target_path,
            attempt=destination.attempt,
            with_tests=destination.is_watched,
            awaits_event=True,
        )
        _feed(relay, saved)
        relay.end(None)
        if not relay.run.invocations:
            return _refuse(saved, reason(saved))
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


def _feed(relay: Relay, saved: SavedLog) -> None:
    is_said = not saved.is_stream
    for chunk in saved.chunks():
        relay.feed(chunk)
        if not is_said and saved.size > _PATIENCE:
            is_said = True
            if not relay.run.invocations:
                note(f"no event of dbt's log yet in {saved.name}, which is read on: {JSON_LOG}")
    if saved.trouble is not None:
        note(f"{saved.name} cannot be read to its end: {saved.trouble}")


def _refuse(saved: SavedLog, why: str) -> int:
    note(f"there is no event of dbt's log in {saved.name}: {why}")
    return exit_codes.NO_EVENTS
