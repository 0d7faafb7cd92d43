"""The journal's SQLite file: read it, write it, and go on where it is damaged or cannot be used."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ...records.counts import counted
from . import folder, storage
from .folder import ForeignError
from .lock import RunLock
from .rows import ClosedError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

T = TypeVar("T")

_FAULTS: Final = (sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.DataError)
"""Faults of ours, which no other file would mend."""


class Database:
    """The file of a state folder. It knows nothing of runs. Any thread may call any method.

    Where the file cannot be written (a full disk, a read-only folder), or a newer dbt-relay has
    written it, the database goes on in memory: `trouble` says why, `remedy` what to do, and `warn`
    is told once. A damaged file is set aside and a new one begun. In both cases `on_replaced` gets
    the old connection and the new one, to carry over what it needs.
    """

    def __init__(
        self,
        state_dir: Path | None,
        warn: Callable[[str], object],
        *,
        on_replaced: Callable[[sqlite3.Connection, sqlite3.Connection], object],
    ) -> None:
        """Opens or creates it; None for one in memory. Raises nothing over the file's state."""
        self.state_dir = state_dir
        self.trouble: str | None = None
        self.remedy: str | None = None
        self._warn = warn
        self._on_replaced = on_replaced
        self._lock = threading.RLock()
        self._inode = 0
        self._is_closed = False
        self._db = self._open()

    @property
    def file(self) -> Path | None:
        """The file; None if the database is in memory."""
        return None if self.state_dir is None or self.trouble else self.state_dir / storage.FILE

    @contextlib.contextmanager
    def closing(self) -> Generator[None]:
        """Close the database after the block, which no other thread's work interrupts."""
        with self._lock:
            try:
                yield
            finally:
                self._is_closed = True
                with contextlib.suppress(sqlite3.Error):
                    self._db.close()

    def lock_path(self, token: str) -> Path | None:
        """The file that locks a run; None where no other process can see the run.

        The folder is called `claims`, since relays of other versions look for the locks there.
        """
        return None if self.file is None else self.file.with_name(folder.CLAIMS) / token

    def checkpoint(self) -> None:
        """Move what is committed from the write-ahead log to the file.

        That waits for the disk: never call it in the thread that reads dbt's output.
        """
        self._do(self._check_place)
        if self.file is None:
            return
        # What fails now works the next time, or in the next process that opens the file.
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(sqlite3.connect(self.file, timeout=0, isolation_level=None)) as db,
        ):
            db.execute("pragma wal_checkpoint(passive)")

    def shrink(self) -> None:
        """Give back the room of what was deleted."""
        # A script, since `execute` steps once, and each step frees one page.
        self._do(lambda db: db.executescript("pragma incremental_vacuum"))

    def set_aside(self, reason: str) -> None:
        """Go on in a new file: this one contradicts itself."""
        with self._lock:
            if self.file is not None:
                self._replace(sqlite3.DatabaseError(reason))

    def rows(self, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """The rows that a query finds."""
        return self._do(lambda db: db.execute(query, values).fetchall())

    def execute(self, statement: str, values: tuple[Any, ...] = ()) -> None:
        """Carry out a statement that changes something, in a transaction of its own."""
        self._do(lambda db: db.execute(statement, values).fetchall())

    def transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` in one transaction. If the file fails, `work` is done once more in another."""

        def whole(db: sqlite3.Connection) -> T:
            db.execute("begin immediate")
            try:
                result = work(db)
                db.execute("commit")
            except BaseException:
                if db.in_transaction:
                    db.execute("rollback")
                raise
            return result

        return self._do(whole)

    def _check_place(self, _: sqlite3.Connection) -> None:
        # Another process may have set the file aside, or somebody has deleted it: new records have
        # to be where the next process looks.
        if self.file is not None and storage.inode(self.file) != self._inode:
            raise sqlite3.DatabaseError("it is not there any more")

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock:
            if self._is_closed:
                raise ClosedError
            # The second may find the new file unusable too; memory is the third.
            for _ in range(2):
                try:
                    return work(self._db)
                except _FAULTS:
                    raise
                except (sqlite3.Error, OSError) as error:
                    if self.file is None:
                        raise
                    self._replace(error)
            return work(self._db)

    def _open(self, error: Exception | None = None) -> sqlite3.Connection:
        if self.state_dir is None:
            return storage.connect(None)
        damaged = None if error is None else (self._inode, error)
        try:
            # Error texts of a warehouse are nobody else's business.
            remark = folder.prepare(self.state_dir)
            opened = storage.open_file(self.state_dir, _moment, damaged)
            folder.make_claims(self.state_dir)
        except (
            OSError,
            sqlite3.Error,
            storage.DamagedError,
            storage.NewerError,
            ForeignError,
        ) as reason:
            return self._in_memory(reason)
        if remark is not None and error is None:
            self._warn(remark)
        if opened.remark is not None:
            self._warn(opened.remark)
        if lost := _lost(opened.db, self.state_dir / folder.CLAIMS):
            self._warn(
                f"lost {counted(lost, 'record')} of killed runs: the journal in {self.state_dir} "
                "was damaged or replaced"
            )
        self._inode = opened.inode
        return opened.db

    def _in_memory(self, error: Exception) -> sqlite3.Connection:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        self.trouble = f"the journal in {self.state_dir} cannot be used ({reason})"
        self.remedy = "Make room, or set DBT_RELAY_STATE_DIR to a folder that can be written"
        if isinstance(error, storage.NewerError):
            self.remedy = "It is left as it is. Upgrade dbt-relay, or name another --state-dir"
        if isinstance(error, ForeignError):
            self.remedy = (
                "Move that away, or set DBT_RELAY_STATE_DIR to a folder of the journal's own"
            )
        self._warn(
            f"{self.trouble}: records are delivered from memory, and what is left at the end is "
            f"lost. {self.remedy}"
        )
        return storage.connect(None)

    def _replace(self, error: Exception) -> None:
        """Go on with another file if this one is damaged, else in memory."""
        old = self._db
        if isinstance(error, sqlite3.Error) and storage.is_damage(error):
            self._db = self._open(error)
        else:
            self._db = self._in_memory(error)
        try:
            self._on_replaced(old, self._db)
        except (sqlite3.Error, OSError) as reason:
            if self.file is None:
                raise
            self._db.close()
            self._db = self._in_memory(reason)
            self._on_replaced(old, self._db)
        finally:
            with contextlib.suppress(sqlite3.Error):
                old.close()


def _lost(db: sqlite3.Connection, locks: Path) -> int:
    """How many records were committed to runs that the journal no longer has: SQLite says nothing
    where a damaged write-ahead log has lost its end."""
    lost = nameless = 0
    with contextlib.suppress(sqlite3.Error, OSError):
        tokens = [path.name for path in locks.iterdir()]  # first: a run is locked, then it shows
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


def _moment() -> str:
    return f"{datetime.now(timezone.utc):{storage.WHEN}.%f}-{os.getpid()}"
