"""One run in the journal: its row, its lock, its records, and a queue for each of its sinks."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...records.outcomes import OUTCOMES
from ...records.schema import RunRecord
from .folder import LOCKS
from .lock import LOCK_WAIT, RunLock
from .queue import SinkQueue
from .rows import COLUMNS, RunInfo
from .run_records import RunRecords
from .running import RunningNodes
from .salvage import stored_text

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from ...records.schema import Record
    from .database import Database


class JournalRun:
    """A run in the journal. The process that holds its lock delivers its records.

    `number` is the run's number in the journal, by which people know the run. `lost` counts records
    that the previous owner had committed and that the journal no longer has. `only_in_memory` has
    the keys of nodes whose newest record is in no file. `on_close` is called when the run closes.
    """

    def __init__(
        self,
        database: Database,
        info: RunInfo,
        token: str,
        number: int = 0,
        *,
        on_close: Callable[[JournalRun], object] = lambda _: None,
    ) -> None:
        self.info = info
        self.lost = 0
        self.only_in_memory: set[str] = set()
        self._database = database
        self._token = token
        self._on_close = on_close
        self._lock: RunLock | None = None
        self._committed = 0
        self._records = RunRecords(database, number)
        self._queues = {name: SinkQueue(self._records, name) for name in info.sinks}

    @property
    def number(self) -> int:
        return self._records.number

    @classmethod
    def find(
        cls,
        database: Database,
        number: int,
        on_close: Callable[[JournalRun], object] = lambda _: None,
    ) -> JournalRun:
        """The run with this number, without its lock.

        LookupError if there is no such run, or its row cannot be read.
        """
        rows = database.rows(
            f"select token, {', '.join(COLUMNS)} from run where id = ?",  # noqa: S608
            (number,),
        )
        if not rows:
            raise LookupError(number)
        token, *values = rows[0]
        if not re.fullmatch(r"[a-z0-9-]+", str(token)):  # the token is the lock's file name
            raise LookupError(number)
        sinks: Any = database.rows(
            "select name, address from sink where run = ? order by id", (number,)
        )
        try:
            info = RunInfo.from_row(values, sinks)
        except (TypeError, ValueError) as error:
            raise LookupError(number) from error
        return cls(database, info, token, number, on_close=on_close)

    def begin(self) -> None:
        """Write the row of a new run and take its lock in one transaction, so that no other process
        sees the run without an owner."""
        self._database.transact(self._insert)

    def take_lock(self) -> bool:
        """Lock the run for this process; False if another process holds the lock."""
        if self._lock_file is not None:
            self._lock = RunLock.take(self._lock_file, LOCK_WAIT)
            if self._lock is None:
                return False
            self._committed = self._records.count_committed()
            self.lost = max(0, self._lock.committed() - self._committed)
        for queue in self._queues.values():
            self._database.read(queue.load)
        return True

    def set_target_dir(self, target_dir: str) -> None:
        """Write down where dbt puts its artifacts. dbt's log tells that after the run has begun."""
        if target_dir != self.info.target_dir:
            self.info = replace(self.info, target_dir=target_dir)
            self._database.execute(
                "update run set target_dir = ? where id = ?", (target_dir, self.number)
            )

    def put(self, record: Record, now: float, only: Collection[str] | None = None) -> None:
        """Commit one record: see `put_all`."""
        self.put_all((record,), now, only)

    def put_all(
        self, records: Sequence[Record], now: float, only: Collection[str] | None = None
    ) -> None:
        """Commit records, all or none; each replaces an earlier record with the same key.

        They wait for every sink of the run, or for the sinks in `only`. Once this has returned, the
        death of this process does not lose them.
        """
        queues = [q for name, q in self._queues.items() if only is None or name in only]

        def insert(db: sqlite3.Connection) -> None:
            self._records.insert(db, records)
            for queue in queues:
                self._records.insert_waiting(db, queue.sink, records)

        # No worker gets a record before it is committed: the lock is held until then. A database
        # that replaces a failing one gets the records from the queues.
        with self._database.lock:
            for queue in queues:
                for record in records:
                    queue.add(record, now)
            self._database.transact(insert)
        if self._database.file is None:
            self.only_in_memory |= {r.key for r in records if r.key != RunRecord.key}
        elif self._lock is not None:
            self._committed += len(records)
            self._lock.set_committed(self._committed)

    def queue(self, sink: str) -> SinkQueue:
        """The records that wait for a sink; KeyError if the run has no sink of that name."""
        return self._queues[sink]

    def records(self) -> list[Record]:
        """The newest record of each key, in the order in which the keys were first put."""
        return self._records.newest()

    def record(self, key: str) -> Record | None:
        """The newest record of a key; None if there is none, or it cannot be read."""
        return self._records.read(stored_text(key))

    def outcomes(self) -> dict[str, int]:
        """The number of nodes for each outcome that occurs."""
        counts = dict(
            self._database.rows(
                "select outcome, count(*) from record where run = ? group by 1", (self.number,)
            )
        )
        return {outcome: counts[outcome] for outcome in OUTCOMES if outcome in counts}

    def retry_rejected(self) -> None:
        """Let every rejected record wait for its sink again."""
        for queue in self._queues.values():
            queue.retry_rejected()

    @property
    def has_owner(self) -> bool:
        """Whether a living process holds the lock."""
        return self._lock_file is not None and RunLock.is_taken(self._lock_file)

    def delete(self) -> None:
        """Delete the run and its records. The caller holds the lock, and closes the run next."""

        def delete(db: sqlite3.Connection) -> None:
            for table in ("delivery", "record", "sink"):
                db.execute(f"delete from {table} where run = ?", (self.number,))  # noqa: S608
            db.execute("delete from run where id = ?", (self.number,))

        self._database.transact(delete)

    def close(self) -> None:
        """Release the lock. Records that wait are left to the process that adopts the run."""
        self._on_close(self)
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def checkpoint(self) -> None:
        """See `Database.checkpoint`."""
        self._database.checkpoint()

    def move(self, db: sqlite3.Connection) -> None:
        """Go on in a new database, which may hold what was salvaged of the old one.

        The run is found by its token, since the new database may give it another number.
        """
        db.execute("begin immediate")
        # If the row of the run was lost, its salvaged records are in a run with this token.
        db.execute(
            "update run set token = ? where id = ? and token = ?",
            (self._token, self.number, f"nameless-{self.number}"),
        )
        row = db.execute("select id from run where token = ?", (self._token,)).fetchone()
        if row is None:
            self._insert(db)
        else:
            self._records.number = row[0]
            self._insert_sinks(db)
        for queue in self._queues.values():
            unsettled = queue.records()
            self._records.insert(db, self._records.absent(db, unsettled))
            self._records.insert_waiting(db, queue.sink, unsettled)
            queue.load(db)
        db.execute("commit")

    @property
    def running_nodes(self) -> RunningNodes | None:
        """What its process tells to those who watch; None if no other process sees the run."""
        return None if self._lock_file is None else RunningNodes(self._lock_file)

    @property
    def _lock_file(self) -> Path | None:
        """None if the journal is in memory, where no other process sees the run."""
        file = self._database.file
        return None if file is None else file.with_name(LOCKS) / self._token

    def _insert(self, db: sqlite3.Connection) -> None:
        done = db.execute(
            f"insert into run (token, {', '.join(COLUMNS)})"  # noqa: S608
            f" values ({', '.join('?' * (len(COLUMNS) + 1))})",
            (self._token, *self.info.to_row()),
        )
        self._records.number = done.lastrowid or 0
        self._insert_sinks(db)
        path = self._lock_file
        if path is not None and (self._lock is None or not path.exists()):
            self._lock = RunLock.take(path, LOCK_WAIT)

    def _insert_sinks(self, db: sqlite3.Connection) -> None:
        for name, address in self.info.sinks.items():
            db.execute(
                "insert or ignore into sink (run, name, address) values (?, ?, ?)",
                (self.number, name, json.dumps(address)),
            )
