"""The journal: the records of every run in one SQLite file, committed before anything is sent."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import uuid
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ...records.schema import RunRecord
from . import folder, salvage, storage
from .folder import ForeignError
from .lock import Claim
from .rows import ClosedError, RunInfo
from .run import JournalRun

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")

_FAULTS: Final = (sqlite3.ProgrammingError, sqlite3.InterfaceError, sqlite3.DataError)
"""Our own, which no other file would mend."""


class Journal:
    """The journal of a state folder, which all relays of a machine share.

    Where it cannot be written (a full disk, a read-only folder), or a newer dbt-relay has written
    it, it goes on in memory: `trouble` says why, `remedy` what to do, `unkept` counts the nodes
    whose newest record no file has, and `warn` is told once. A damaged file is set aside, `warn` is
    told, and a new one begun. Any thread may call any method.
    """

    def __init__(
        self, state_dir: Path | None, warn: Callable[[str], object] = lambda _: None
    ) -> None:
        """Opens or creates it; None for one in memory. Raises nothing over the file's state."""
        self.state_dir = state_dir
        self.trouble: str | None = None
        self.remedy: str | None = None
        self._unkept: set[str] = set()
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
        return None if self.state_dir is None or self.trouble else self.state_dir / storage.FILE

    @property
    def unkept(self) -> int:
        return len(self._unkept)

    def forgo(self, key: str) -> None:
        """The newest record of this key is in memory only."""
        if key != RunRecord.key:
            self._unkept.add(key)

    def begin(self, info: RunInfo) -> JournalRun:
        """A new run, claimed by this process."""
        run = JournalRun(self, info, uuid.uuid4().hex)
        self.transact(run.enter)
        self._runs.append(run)
        return run

    def adopt(self, number: int) -> JournalRun | None:
        """A run whose relay is gone, claimed by this process now; None if it has a living owner.

        LookupError if there is no such run, OSError where it cannot be claimed.
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
        return None if self.file is None else self.file.with_name(folder.CLAIMS) / token

    def checkpoint(self) -> None:
        """Move what is committed from the write-ahead log to the file.

        That waits for the disk: nothing for the thread that reads dbt's output.
        """
        self._do(self._check_place)
        if self.file is None:
            return
        # What does not work now the next one does, or the next process that opens it.
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

    def _check_place(self, _: sqlite3.Connection) -> None:
        # Another process may have found it damaged, or somebody has deleted it: what is put from
        # now on has to be where the next process looks.
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
            note = folder.prepare(self.state_dir)
            opened = storage.open_store(self.state_dir, _moment, damaged)
            folder.make_claims(self.state_dir)
        except (
            OSError,
            sqlite3.Error,
            storage.DamagedError,
            storage.NewerError,
            ForeignError,
        ) as reason:
            return self._in_memory(reason)
        if note is not None and error is None:
            self._warn(note)
        if opened.note is not None:
            self._warn(opened.note)
        if lost := _lost(opened.db, self.state_dir / folder.CLAIMS):
            self._warn(
                f"{lost} records of runs that were killed are lost: the journal in "
                f"{self.state_dir} was damaged, or is not the one that it was"
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
            self._move_runs(old)
        except (sqlite3.Error, OSError) as reason:
            if self.file is None:
                raise
            self._db.close()
            self._db = self._in_memory(reason)
            self._move_runs(old)
        finally:
            with contextlib.suppress(sqlite3.Error):
                old.close()

    def _move_runs(self, old: sqlite3.Connection) -> None:
        if self.file is None:
            salvage.copy(old, self._db, [run.id for run in self._runs])
        for run in self._runs:
            run.move(self._db)


def _lost(db: sqlite3.Connection, claims: Path) -> int:
    """How many records were committed to runs that are in the journal no more: a write-ahead log
    that is damaged loses its end without a word from SQLite."""
    lost = nameless = 0
    with contextlib.suppress(sqlite3.Error, OSError):
        tokens = [path.name for path in claims.iterdir()]  # first: a run is claimed, then it shows
        known = {token for (token,) in db.execute("select token from run")}
        for token in tokens:
            claim = None if token in known else Claim.take(claims / token)
            if claim is not None:
                lost += claim.noted()
                claim.release()
        (nameless,) = db.execute(
            "select coalesce(sum(version), 0) from record"
            " where run in (select id from run where token like 'nameless-%')"
        ).fetchone()
    return max(0, lost - nameless)


def _moment() -> str:
    return f"{datetime.now(timezone.utc):{storage.WHEN}.%f}-{os.getpid()}"
