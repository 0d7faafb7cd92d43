"""The journal's SQLite file: it is read and written here, and replaced when it fails."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final, TypeVar

from . import folder, storage
from .folder import ForeignError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

T = TypeVar("T")

_OUR_MISTAKES: Final = (sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.DataError)
"""Errors of a wrong call. Another file would not mend them."""


class ClosedError(Exception):
    """The database is closed. A worker that was busy sending finds out by this."""


class Database:
    """The SQLite file of a state folder. It knows nothing of runs. Any thread may call any method.

    A damaged file is set aside, and a new file takes its place. If no file can be used (a full
    disk, a read-only folder, a file of a newer dbt-relay), the database goes on in memory;
    `trouble` then says why, and `remedy` what to do. `warn` gets one message about either.
    `on_replaced` gets the old connection and the new one, to carry over what its owner needs. Who
    holds `lock` keeps other threads from the database.
    """

    def __init__(
        self,
        state_dir: Path | None,
        warn: Callable[[str], object],
        *,
        create: bool = True,
        on_replaced: Callable[[sqlite3.Connection, sqlite3.Connection], object],
    ) -> None:
        """Opens or creates the file; without a folder the database is in memory.

        If there is no file, and none is to be created, the database is in memory too. A file that
        cannot be used raises nothing.
        """
        self.state_dir = state_dir
        self.trouble: str | None = None
        self.remedy: str | None = None
        self._warn = warn
        self._on_replaced = on_replaced
        self.lock = threading.RLock()
        self._inode = 0
        self._is_closed = False
        self._stays_in_memory = state_dir is None or (
            not create and folder.is_without_journal(state_dir)
        )
        self._db = self._open()

    @property
    def file(self) -> Path | None:
        """The file; None if the database is in memory."""
        if self.state_dir is None or self._stays_in_memory or self.trouble:
            return None
        return self.state_dir / storage.FILE

    @contextlib.contextmanager
    def closing(self) -> Generator[None]:
        """Close the database after the block. No other thread uses the database meanwhile."""
        with self.lock:
            try:
                yield
            finally:
                self._is_closed = True
                with contextlib.suppress(sqlite3.Error):
                    self._db.close()

    def checkpoint(self) -> None:
        """Move committed rows from the write-ahead log to the file.

        A checkpoint waits for the disk: never call it in the thread that reads dbt's output.
        """
        self._do(self._check_file_is_there)
        if self.file is None:
            return
        # If this fails, a later checkpoint does the work, or the next process that opens the file.
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(sqlite3.connect(self.file, timeout=0, isolation_level=None)) as db,
        ):
            db.execute("pragma wal_checkpoint(passive)")

    def shrink(self) -> None:
        """Give the disk space of deleted rows back to the file system."""
        # `execute` takes one step, which frees one page. `executescript` takes all of them.
        self._do(lambda db: db.executescript("pragma incremental_vacuum"))

    def rows(self, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """The rows that a query finds."""
        return self._do(lambda db: db.execute(query, values).fetchall())

    def execute(self, statement: str, values: tuple[Any, ...] = ()) -> None:
        """Carry out a statement that changes rows, in a transaction of its own."""
        self._do(lambda db: db.execute(statement, values).fetchall())

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work`, which only reads. If the file fails, `work` is done again in another file."""
        return self._do(work)

    def transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` in one transaction. If the file fails, `work` is done again in another file."""

        def in_transaction(db: sqlite3.Connection) -> T:
            db.execute("begin immediate")
            try:
                result = work(db)
                db.execute("commit")
            except BaseException:
                if db.in_transaction:
                    db.execute("rollback")
                raise
            return result

        return self._do(in_transaction)

    def _check_file_is_there(self, _: sqlite3.Connection) -> None:
        # Another process may have set the file aside, or a person may have deleted it. The next
        # process looks for new records in the file that lies in the folder.
        if self.file is not None and storage.inode(self.file) != self._inode:
            raise sqlite3.DatabaseError("the file is gone")

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self.lock:
            if self._is_closed:
                raise ClosedError
            # The new file may fail as well. The third attempt is in memory.
            for _ in range(2):
                try:
                    return work(self._db)
                except _OUR_MISTAKES:
                    raise
                except (sqlite3.Error, OSError) as error:
                    if self.file is None:
                        raise
                    self._replace(error)
            return work(self._db)

    def _open(self, error: Exception | None = None) -> sqlite3.Connection:
        """Open the file; `error` is the damage that the last one showed while it was in use."""
        if self.state_dir is None or self._stays_in_memory:
            return storage.connect(None)
        damaged = None if error is None else (self._inode, error)
        try:
            remark = folder.prepare(self.state_dir)
            opened = storage.open_file(self.state_dir, timestamp, damaged)
            folder.make_lock_folder(self.state_dir)
        except (
            OSError,
            sqlite3.Error,
            storage.DamagedError,
            storage.NewerError,
            ForeignError,
        ) as reason:
            return self._open_in_memory(reason)
        if remark is not None and error is None:
            self._warn(remark)
        if opened.remark is not None:
            self._warn(opened.remark)
        self._inode = opened.inode
        return opened.db

    def _open_in_memory(self, error: Exception) -> sqlite3.Connection:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        self.trouble = f"the journal in {self.state_dir} cannot be used ({reason})"
        self.remedy = "Free disk space, or set DBT_RELAY_STATE_DIR to a folder that can be written"
        if isinstance(error, storage.NewerError):
            self.remedy = "The journal is unchanged. Upgrade dbt-relay, or set --state-dir"
        if isinstance(error, ForeignError):
            self.remedy = (
                "Move that away, or set DBT_RELAY_STATE_DIR to a folder for the journal alone"
            )
        self._warn(
            f"{self.trouble}: records are delivered from memory, and records that still wait "
            f"at the end are lost. {self.remedy}"
        )
        return storage.connect(None)

    def _replace(self, error: Exception) -> None:
        """Go on in a new file if this one is damaged, else in memory."""
        old = self._db
        if isinstance(error, sqlite3.Error) and storage.is_damage(error):
            self._db = self._open(error)
        else:
            self._db = self._open_in_memory(error)
        try:
            self._on_replaced(old, self._db)
        except (sqlite3.Error, OSError) as reason:
            if self.file is None:
                raise
            self._db.close()
            self._db = self._open_in_memory(reason)
            self._on_replaced(old, self._db)
        finally:
            with contextlib.suppress(sqlite3.Error):
                old.close()


def timestamp() -> str:
    """The end of a damaged file's new name: the time in UTC, and this process."""
    return f"{datetime.now(timezone.utc):{storage.WHEN}.%f}-{os.getpid()}"
