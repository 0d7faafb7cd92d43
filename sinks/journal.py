"""The journal: the records of every run in one SQLite file, committed before anything is sent."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any, TypeVar

from . import store
from .journal_run import ClosedError, JournalRun, RunInfo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")


class Journal:
    """The journal of a state folder, which all relays of a machine share.

    Where it cannot be written (a full disk, a read-only folder) it goes on in memory: `trouble`
    says why, `unkept` counts the records that no file has, and `warn` is told once. A damaged file
    is set aside, `warn` is told, and a new one begun. Any thread may call any method.
    """

    def __init__(
        self, state_dir: Path | None, warn: Callable[[str], object] = lambda _: None
    ) -> None:
        """Opens or creates it; None for one in memory. Raises nothing over the file's state."""
        self.state_dir = state_dir
        self.trouble: str | None = None
        self.unkept = 0
        self._warn = warn
        self._lock = threading.RLock()
        self._inode = 0
        self._is_closed = False
        self._runs: list[JournalRun] = []
        self._db = self._open()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def file(self) -> Path | None:
        """Where the records are kept; None if only in memory."""
        return None if self.state_dir is None or self.trouble else self.state_dir / store.FILE

    def begin(self, info: RunInfo) -> JournalRun:
        """A new run, claimed by this process."""
        run = JournalRun(self, info, uuid.uuid4().hex)
        self.transact(run.enter)
        self._runs.append(run)
        if info.sinks:
            # The workers move it on, see `checkpoint`.
            self.fetch("pragma wal_autocheckpoint = 0")
        return run

    def adopt(self, number: int) -> JournalRun | None:
        """A run whose relay is gone, claimed by this process now; None if it has a living owner.

        LookupError if there is no such run.
        """
        run = JournalRun.find(self, number)
        if not run.claim():
            return None
        self._runs.append(run)
        return run

    def release(self, run: JournalRun) -> None:
        """This process has nothing more to do with the run."""
        with contextlib.suppress(ValueError):
            self._runs.remove(run)

    def close(self) -> None:
        """Also gives back the claim on every run that is still open."""
        with self._lock:
            for run in [*self._runs]:
                run.close()
            self._is_closed = True
            with contextlib.suppress(sqlite3.Error):
                self._db.close()

    def claim_path(self, token: str) -> Path | None:
        """Where the claim on a run lies; None where no other process can see the run."""
        return None if self.file is None else self.file.with_name("claims") / token

    def checkpoint(self) -> None:
        """Move what is committed from the write-ahead log to the file.

        That waits for the disk: nothing for the thread that reads dbt's output.
        """
        if self.file is None:
            return
        # What does not work now the next one does, or the next process that opens it.
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(sqlite3.connect(self.file, timeout=0, isolation_level=None)) as db,
        ):
            db.execute("pragma wal_checkpoint(passive)")

    def fetch(self, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        return self._do(lambda db: db.execute(query, values).fetchall())

    def transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` in one transaction; on another journal, and so perhaps twice, if that fails."""

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

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock:
            if self._is_closed:
                raise ClosedError
            # The second may find the new file unusable too; memory is the third.
            for _ in range(2):
                try:
                    return work(self._db)
                except (sqlite3.Error, OSError) as error:
                    if self.file is None:
                        raise
                    self._replace(error)
            return work(self._db)

    def _open(self, error: Exception | None = None) -> sqlite3.Connection:
        if self.state_dir is None:
            return store.connect(None)
        damaged = None if error is None else (self._inode, error)
        try:
            # Error texts of a warehouse are nobody else's business.
            self.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self.state_dir / "claims").mkdir(exist_ok=True)
            opened = store.open_store(self.state_dir, _moment, damaged)
        except (OSError, sqlite3.Error, store.DamagedError) as reason:
            self._give_up(reason)
            return store.connect(None)
        if opened.note is not None:
            self._warn(opened.note)
        self._inode = opened.inode
        return opened.db

    def _give_up(self, error: Exception) -> None:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        self.trouble = f"the journal in {self.state_dir} cannot be used ({reason})"
        self._warn(
            f"{self.trouble}: records are delivered from memory, and what is left at the end is "
            "lost. Make room, or set DBT_RELAY_STATE_DIR to a folder that can be written"
        )

    def _replace(self, error: Exception) -> None:
        """Go on with another file if this one is damaged, else in memory."""
        old = self._db
        if isinstance(error, sqlite3.Error) and store.is_damage(error):
            self._db = self._open(error)
        else:
            self._give_up(error)
            self._db = store.connect(None)
        if self.file is None:
            store.copy(old, self._db, [run.id for run in self._runs])
        for run in self._runs:
            run.move(self._db)
        with contextlib.suppress(sqlite3.Error):
            old.close()


def _moment() -> str:
    return f"{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}"
