"""`dbt-relay replay`: the records of a saved log."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from . import exit_codes
from .dbt.no_events import HOW_TO_LOG, reason, reason_at_start
from .dbt.saved_log import SavedLog
from .options import CREDENTIALS, option, relay_options
from .output.console import Console
from .output.masking import secrets_in
from .output.notice import notice
from .relay.deadline import Deadline
from .relay.destination import Destination
from .relay.run_record import now
from .relay.session import RelayedRun
from .relay.state_folder import open_journal

if TYPE_CHECKING:
    from .settings import RelaySettings

HELP: Final = """Publish the records of a saved JSON log of dbt: LOG, or - for standard input.

LOG may be compressed (gzip, bzip2, xz), of any level, and hold several runs. The prefix or JSON
that a log collector adds to dbt's lines is removed. A node that never ended is published as
interrupted.

\b
Examples:
  dbt-relay replay --sink jsonl:- logs/dbt.log
  dbt-relay replay saved.jsonl.gz
  kubectl logs my-pod | dbt-relay replay --sink airflow -
"""
_PATIENCE: Final = 1 << 16
"""Bytes of a stream without an event, after which the relay says so."""


@click.command(
    help=HELP,
    epilog=CREDENTIALS,
)
@relay_options
@option(
    "--target-path",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("target"),
    show_default=True,
    help="Folder with run_results.json and manifest.json of the same run. Files of another run are "
    "ignored.",
)
@click.argument("log", default="-", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
def replay(log: str, target_path: Path, settings: RelaySettings) -> int:
    destination = Destination.choose(settings, os.environ)
    for line in destination.remarks:
        notice(line)
    saved = SavedLog(log)
    why = reason_at_start(saved)
    if why is not None:
        destination.close()
        return _refuse(saved, why)
    secrets = secrets_in(os.environ, settings.airflow.connection.proxy)
    out = (sys.stderr if destination.owns_stdout else sys.stdout).buffer
    command = secrets.mask_command(("replay", log))
    with (
        open_journal(settings.keeping, os.environ) as journal,
        RelayedRun(
            destination,
            journal,
            Console(out, secrets=secrets),
            destination.run_info(command, now(), target_path.absolute()),
            secrets=secrets,
            target_dir=target_path,
            is_saved=True,
        ) as run,
    ):
        _feed(run, saved)
        run.log_ended(None)
        if not run.has_events:
            return _refuse(saved, reason(saved))
        return run.end(Deadline(settings.sending.flush_timeout))


def _feed(run: RelayedRun, saved: SavedLog) -> None:
    is_said = not saved.is_stream
    for chunk in saved.chunks():
        run.feed(chunk)
        if not is_said and saved.size > _PATIENCE:
            is_said = True
            if not run.has_events:
                notice(f"no event of dbt's log in {saved.name} yet, still reading: {HOW_TO_LOG}")
    if saved.trouble is not None:
        notice(f"{saved.name} cannot be read to its end: {saved.trouble}")


def _refuse(saved: SavedLog, why: str) -> int:
    notice(f"there is no event of dbt's log in {saved.name}: {why}")
    return exit_codes.NO_EVENTS
