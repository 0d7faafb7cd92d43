"""One run in the journal: who it is, its lock, its records and the queue of each sink."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...records.schema import OUTCOMES, RunRecord
from .lock import GLANCE, RunLock
from .queue import SinkQueue
from .rows import COLUMNS, RunInfo
from .run_records import RunRecords

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable

    from ...records.schema import Record
    from .database import Database


class JournalRun:
    """A run that this process has locked, so that no other process delivers its records.

    `lost` counts the records that an earlier owner had committed and that the journal no longer
    has. `unkept` has the keys of nodes whose newest record is in memory only. `on_close` is called
    when the run is closed.
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
        self.unkept: set[str] = set()
        self._database = database
        self._token = token
        self._on_close = on_close
        self._lock: RunLock | None = None
        self._puts = 0
        self._records = RunRecords(database, number)
        self._queues = {name: SinkQueue(self._records, name) for name in info.sinks}

    @property
    def number(self) -> int:
        """The number by which people know the run."""
        return self._records.number

    @classmethod
    def find(
        cls,
        database: Database,
        number: int,
        on_close: Callable[[JournalRun], object] = lambda _: None,
    ) -> JournalRun:
        """A run of the journal, not locked yet. LookupError if it is not there, or unreadable."""
        rows = database.rows(
            f"select token, {', '.join(COLUMNS)} from run where id = ?",  # noqa: S608
            (number,),
        )
        if not rows:
            raise LookupError(number)
        token, *values = rows[0]
        if not re.fullmatch(r"[a-z0-9-]+", str(token)):  # it is a file's name too
            raise LookupError(number)
        sinks: Any = database.rows(
            "select name, address from sink where run = ? order by id", (number,)
        )
        try:
            info = RunInfo.of(values, sinks)
        except (TypeError, ValueError) as error:
            raise LookupError(number) from error
        return cls(database, info, token, number, on_close=on_close)

    def begin(self) -> None:
        """Write the new run down and lock it, in one transaction: nobody sees it unlocked."""
        self._database.transact(self._insert)

    def take_lock(self) -> bool:
        """Whether this process has the run now, and no other."""
        path = self._database.lock_path(self._token)
        if path is not None:
            self._lock = RunLock.take(path, GLANCE)
            if self._lock is None:
                return False
            self._puts = self._records.count_puts()
            self.lost = max(0, self._lock.committed() - self._puts)
        # The times in `due` are those of another process's clock.
        self._database.execute("update delivery set due = 0 where run = ?", (self.number,))
        return True

    def set_target_dir(self, target_dir: str) -> None:
        """Say where dbt writes its artifacts, once that is known."""
        if target_dir != self.info.target_dir:
            self.info = replace(self.info, target_dir=target_dir)
            self._database.execute(
                "update run set target_dir = ? where id = ?", (target_dir, self.number)
            )

    def put(self, record: Record, now: float, only: Iterable[str] | None = None) -> None:
        """Take a record that is new, or newer than the one of its key that was put before.

        It is for every sink of the run, or `only` for some. When this returns, the death of this
        process cannot lose it.
        """
        self._records.put(record, set(self.info.sinks if only is None else only), now)
        if self._database.file is None:
            if record.key != RunRecord.key:
                self.unkept.add(record.key)
        elif self._lock is not None:
            self._puts += 1
            self._lock.set_committed(self._puts)

    def queue(self, sink: str) -> SinkQueue:
        """What waits for a sink; KeyError if the run has no sink of that name."""
        return self._queues[sink]

    def records(self) -> list[Record]:
        """The newest record of each key, in the order in which the keys came."""
        return self._records.newest()

    def outcomes(self) -> dict[str, int]:
        """Nodes by outcome."""
        counts = dict(
            self._database.rows(
                "select outcome, count(*) from record where run = ? group by 1", (self.number,)
            )
        )
        return {outcome: counts[outcome] for outcome in OUTCOMES if outcome in counts}

    def retry_rejected(self) -> None:
        """What a sink rejected waits for it again."""
        for queue in self._queues.values():
            queue.retry_rejected()

    @property
    def has_owner(self) -> bool:
        """Whether a living process has the lock."""
        path = self._database.lock_path(self._token)
        return path is not None and RunLock.is_taken(path)

    def delete(self) -> None:
        """Delete the run and its records. The caller has the lock, and closes the run next."""

        def delete(db: sqlite3.Connection) -> None:
            for table in ("delivery", "record", "sink"):
                db.execute(f"delete from {table} where run = ?", (self.number,))  # noqa: S608
            db.execute("delete from run where id = ?", (self.number,))

        self._database.transact(delete)

    def close(self) -> None:
        """Leave what waits to whoever adopts the run."""
        self._on_close(self)
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def checkpoint(self) -> None:
        """See `Database.checkpoint`."""
        self._database.checkpoint()

    def move(self, db: sqlite3.Connection) -> None:
        """Go on in a file that takes the place of another, and may hold what was salvaged of it.

        The run is found by its token: the numbers of the new file begin anew.
        """
        for queue in self._queues.values():
            queue.forget_settled()
        db.execute("begin immediate")
        # Where the row of the run itself was lost, its records are under its number.
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
        in_flight: dict[str, int] = {}
        for queue in self._queues.values():
            for key, version in queue.in_flight.items():
                in_flight[key] = max(version, in_flight.get(key, 0))
        self._records.restore(db, in_flight)
        db.execute("commit")

    def _insert(self, db: sqlite3.Connection) -> None:
        done = db.execute(
            f"insert into run (token, {', '.join(COLUMNS)})"  # noqa: S608
            f" values ({', '.join('?' * (len(COLUMNS) + 1))})",
            (self._token, *self.info.row),
        )
        self._records.number = done.lastrowid or 0
        self._insert_sinks(db)
        path = self._database.lock_path(self._token)
        if path is not None and (self._lock is None or not path.exists()):
            self._lock = RunLock.take(path, GLANCE)

    def _insert_sinks(self, db: sqlite3.Connection) -> None:
        for name, address in self.info.sinks.items():
            db.execute(
                "insert or ignore into sink (run, name, address) values (?, ?, ?)",
                (self.number, name, json.dumps(address)),
            )
