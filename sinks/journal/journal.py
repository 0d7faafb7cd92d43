"""The journal of a state folder: the runs in it, each of which one process delivers."""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from typing import TYPE_CHECKING

from ...records.plural import counted
from . import salvage
from .database import Database
from .folder import LOCKS
from .lock import RunLock
from .run import JournalRun

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .rows import RunInfo


class Journal:
    """The journal that all relays of a machine share. Any thread may call any method.

    `database` holds the rows. `warn` gets a message once for each trouble: see Database for a file
    that is damaged or cannot be written.
    """

    def __init__(
        self,
        state_dir: Path | None,
        warn: Callable[[str], object] = lambda _: None,
        *,
        create: bool = True,
    ) -> None:
        """Opens or creates the journal; without a folder it is in memory.

        Without `create`, a folder that has no journal is left as it is, and the journal is empty. A
        file that cannot be used raises nothing.
        """
        self._runs: list[JournalRun] = []
        self._only_in_memory = 0
        self._warn = warn
        self.database = Database(state_dir, warn, create=create, on_replaced=self._move_runs)
        self.database.read(self._warn_of_lost_records)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def state_dir(self) -> Path | None:
        return self.database.state_dir

    @property
    def file(self) -> Path | None:
        """The file with the records; None if the journal is in memory."""
        return self.database.file

    @property
    def trouble(self) -> str | None:
        """Why the journal is in memory although there is a state folder; None if it is not."""
        return self.database.trouble

    @property
    def remedy(self) -> str | None:
        """What a person can do about the trouble."""
        return self.database.remedy

    @property
    def only_in_memory(self) -> int:
        """How many nodes have their newest record in memory and in no file."""
        return self._only_in_memory + sum(len(run.only_in_memory) for run in self._runs)

    def begin(self, info: RunInfo) -> JournalRun:
        """A new run. This process holds its lock."""
        run = JournalRun(self.database, info, uuid.uuid4().hex, on_close=self._forget)
        run.begin()
        self._runs.append(run)
        return run

    def adopt(self, number: int) -> JournalRun | None:
        """A run whose relay is gone. This process now holds its lock.

        None if another process holds the lock, LookupError if there is no such run, OSError if the
        lock's file cannot be opened.
        """
        run = JournalRun.find(self.database, number, self._forget)
        if not run.take_lock():
            return None
        self._runs.append(run)
        return run

    def close(self) -> None:
        """Close every open run, which releases its lock, and then the database."""
        with self.database.closing():
            for run in [*self._runs]:
                run.close()

    def _forget(self, run: JournalRun) -> None:
        """The run is closed: it no longer moves when the database is replaced."""
        with contextlib.suppress(ValueError):
            self._runs.remove(run)
            self._only_in_memory += len(run.only_in_memory)

    def _move_runs(self, old: sqlite3.Connection, new: sqlite3.Connection) -> None:
        if self.file is None:
            salvage.copy_rows(old, new, [run.number for run in self._runs])
        for run in self._runs:
            run.move(new)
        self._warn_of_lost_records(new)

    def _warn_of_lost_records(self, db: sqlite3.Connection) -> None:
        if self.file is None:
            return
        if lost := _count_lost(db, self.file.with_name(LOCKS)):
            self._warn(
                f"lost {counted(lost, 'record')} of killed runs: the journal in {self.state_dir} "
                "was damaged or replaced"
            )


def _count_lost(db: sqlite3.Connection, locks: Path) -> int:
    """How many records of killed runs are no longer in the journal.

    SQLite reports nothing when a damaged write-ahead log has lost its end. The locks of killed runs
    tell: each holds how many records the run had committed.
    """
    lost = nameless = 0
    with contextlib.suppress(sqlite3.Error, OSError):
        # Before the query, since a run has its lock before its row can be seen.
        tokens = [path.name for path in locks.iterdir()]
        known = {token for (token,) in db.execute("select token from run")}
        for token in tokens:
            lock = None if token in known else RunLock.take(locks / token)
            if lock is not None:
                lost += lock.committed()
                lock.release()
        (nameless,) = db.execute(
            "select coalesce(sum(version), 0) from record"
            " where run in (select id from run where token like 'nameless-%')"
        ).fetchone()
    return max(0, lost - nameless)
