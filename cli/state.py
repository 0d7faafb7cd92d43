"""The journal as the commands use it: where it lies, and what a person hears of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..sinks import Journal
from . import exit_codes

if TYPE_CHECKING:
    from collections.abc import Mapping


def state_dir(options: Mapping[str, Any], environ: Mapping[str, str]) -> Path | None:
    """The state folder that was asked for, or the user's own; None where there is no home."""
    given: Path | None = options["state_dir"]
    if given is not None:
        return given.absolute()
    # A relative path in XDG_STATE_HOME is to be ignored, says its specification.
    home = environ.get("XDG_STATE_HOME", "")
    if os.path.isabs(home):
        return Path(home) / "dbt-relay"
    try:
        return Path.home() / ".local" / "state" / "dbt-relay"
    except RuntimeError:
        return None


def open_journal(options: Mapping[str, Any], environ: Mapping[str, str]) -> Journal:
    """The journal of the state folder. Never fails: what is wrong with it is said."""
    folder = state_dir(options, environ)
    if folder is None:
        note("there is no home folder for a journal, so records are kept in memory only: set "
             "DBT_RELAY_STATE_DIR")  # fmt: skip
    return Journal(folder, note)


def no_run(number: int | None, journal: Journal) -> int:
    """Say that there is no such run; the exit code for that."""
    what = "no run yet" if number is None else f"no run {number}"
    note(f"there is {what} in {journal.file or 'a journal that cannot be read'}: see `dbt-relay "
         "runs`, and --state-dir for another journal")  # fmt: skip
    return exit_codes.USAGE


def note(line: str) -> None:
    """Say something that is no result."""
    click.echo(f"relay: {line}", err=True)
