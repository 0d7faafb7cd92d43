"""The journal of a command: its folder, and what a person reads about it."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...records.plural import counted
from ...sinks import Journal
from ...sinks.journal import history
from .. import exit_codes
from ..output.notice import notice
from ..settings import Keeping

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def state_dir(keeping: Keeping, environ: Mapping[str, str]) -> Path | None:
    """The state folder that was asked for, or the user's own; None if the user has no home."""
    if keeping.state_dir is not None:
        return keeping.state_dir.absolute()
    # The specification of XDG_STATE_HOME says to ignore a relative path.
    home = environ.get("XDG_STATE_HOME", "")
    if os.path.isabs(home):
        return Path(home) / "dbt-relay"
    try:
        return Path.home() / ".local" / "state" / "dbt-relay"
    except RuntimeError:
        return None


def open_journal(keeping: Keeping, environ: Mapping[str, str]) -> Journal:
    """The journal of the state folder. Never fails: trouble with the folder is printed."""
    folder = state_dir(keeping, environ)
    if folder is None:
        notice(
            "there is no home folder for a journal, so records are kept in memory only: set "
            "DBT_RELAY_STATE_DIR"
        )
    return Journal(folder, notice)


class NoJournalError(click.ClickException):
    """The journal cannot be read."""

    exit_code = exit_codes.USAGE

    def show(self, file: Any = None) -> None:
        click.echo(f"relay: {self.message}", err=True, file=file)


def journal_to_read(keeping: Keeping, environ: Mapping[str, str]) -> Journal:
    """The journal of the state folder, for a command that shows or sends its content.

    A folder that has none stays as it is: it would belong to the person who looks, and the relays
    of another user could not write to it. Raises NoJournalError if the journal cannot be read: an
    empty journal in its place would say that there are no runs.
    """
    folder = state_dir(keeping, environ)
    if folder is None:
        return open_journal(keeping, environ)
    said: list[str] = []
    journal = Journal(folder, said.append, create=False)
    if journal.trouble is not None:
        journal.close()
        raise NoJournalError(f"{journal.trouble}. {journal.remedy}")
    for line in said:
        notice(line)
    return journal


def command_for(journal: Journal, what: str, number: int, environ: Mapping[str, str]) -> list[str]:
    """What to type to `deliver`, or `report`, a run, in any shell of the same user."""
    command = ["dbt-relay", what, str(number)]
    if journal.state_dir != state_dir(Keeping(), environ):
        command += ["--state-dir", str(journal.state_dir)]
    return command


def make_room(journal: Journal, keeping: Keeping) -> Iterator[str]:
    """Delete the runs that the journal is not to keep; a line if records were lost with them.

    A few figures of each run go to the ledger first, and stay there.
    """
    from .ledger import keep_figures  # noqa: PLC0415 - a run needs it only when it is over

    now = datetime.now(timezone.utc)
    yield from keep_figures(journal, now.timestamp(), keeping.stats_days)
    pruned = history.prune(journal, now, keeping.runs, keeping.days)
    if pruned.undelivered:
        records = counted(pruned.undelivered, "undelivered record")
        yield (
            f"relay: deleted {records} of earlier runs, kept for longer than --keep-days "
            f"({keeping.days:g})"
        )


def no_run(number: int | None, journal: Journal) -> int:
    """Print that there is no such run, None for any; returns the exit code for that."""
    what = "no run yet" if number is None else f"no run {number}"
    place = journal.file or journal.state_dir or "a journal that cannot be read"
    notice(f"there is {what} in {place}: see `dbt-relay runs`, and --state-dir for another journal")
    return exit_codes.USAGE
