"""The ledger of a command: filled at the end of a run, and before somebody reads it."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

import click

from ...sinks.journal.storage import is_damage
from ...sinks.ledger.catching_up import catch_up, forget
from ...sinks.ledger.file import (
    FILE,
    Ledger,
    LedgerError,
    empty_ledger,
    open_ledger,
    set_aside,
)
from .. import exit_codes
from ..output.notice import notice

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from ...sinks import Journal


class NoLedgerError(click.ClickException):
    """The ledger cannot be read."""

    exit_code = exit_codes.USAGE

    def show(self, file: Any = None) -> None:
        notice(self.message)


def keep_figures(journal: Journal, now: float, keep_days: float) -> Iterator[str]:
    """Write the runs that are over into the ledger, and delete old ones; lines on what went wrong.

    What cannot be written now is written by a later run, as long as the journal has it.
    """
    if journal.file is None or not journal.database.rows("select 1 from run limit 1"):
        return
    try:
        with open_ledger(journal.file.parent) as ledger:
            if ledger.remark is not None:
                yield f"relay: {ledger.remark}"
            try:
                if keep_days:
                    catch_up(journal, ledger)
                forget(ledger, now, keep_days)
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise
                yield f"relay: {set_aside(ledger, error)}"
    except (sqlite3.Error, LedgerError) as error:
        yield f"relay: this run is not yet in the statistics of `dbt-relay stats`: {error}"


@contextlib.contextmanager
def ledger_to_read(journal: Journal) -> Generator[Ledger]:
    """The ledger with all runs of the journal that are over.

    Raises NoLedgerError if it cannot be used, or turns out to be damaged while it is read.
    """
    if journal.state_dir is None or journal.trouble is not None:
        raise NoLedgerError("there is no folder with a ledger, so there are no statistics")
    if journal.file is None:
        with empty_ledger() as ledger:
            yield ledger
        return
    try:
        with open_ledger(journal.file.parent) as ledger:
            if ledger.remark is not None:
                notice(ledger.remark)
            try:
                catch_up(journal, ledger)
                yield ledger
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise
                remark = set_aside(ledger, error)
                raise NoLedgerError(f"{remark}. Type the command again") from error
    except (sqlite3.Error, LedgerError) as error:
        path = journal.file.with_name(FILE)
        raise NoLedgerError(f"the ledger {path} cannot be used now: {error}") from error
