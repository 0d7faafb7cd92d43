"""The queue of one sink: the records of a run that wait for it."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from ...records.outcomes import FAILED
from ...records.schema import RunRecord
from .rows import NOT_SENT, UNREADABLE, Account, Leased
from .salvage import stored_text

if TYPE_CHECKING:
    import sqlite3

    from ...records.schema import Record
    from .run_records import RunRecords

Order = Literal["run first", "worst first", "run last"]
"""The order in which a flush sends the records of a run.

- `run first`: the run record, then all others in the order of their due times.
- `worst first`: the run record, then failed and interrupted nodes, then all others.
- `run last`: all others. The run record waits for a later flush with another order.
"""

_FIRST: Final = -2.0
_WORST: Final = -1.0
"""Both come before any time at which a record was put."""
_LAST: Final = 1e18
"""A time that no clock reaches."""


@dataclass(slots=True)
class _Waiting:
    """A record that waits, or is on its way. `place` is its place among records of one due time.

    `record` is None if another process put it: it is read when it is leased.
    """

    record: Record | None
    outcome: str | None
    due: float
    place: int
    version: int = 0
    is_leased: bool = False


class SinkQueue:
    """The records of one run that wait for one sink.

    `lease` hands out a record, and the caller then passes it to `acknowledge`, `reject` or
    `put_back`. Which records wait, and since when, is known in memory, because only the process
    that holds the run's lock sends them. The database has what the next process needs: each
    record's state, and the reason for it. Times are seconds of the caller's clock.
    """

    def __init__(self, records: RunRecords, sink: str) -> None:
        self.sink = sink
        self._records = records
        self._database = records.database
        self._waiting: dict[str, _Waiting] = {}
        """By stored key."""
        self._order: list[tuple[float, int, str]] = []
        """A heap of due time, place and key. Items that are no longer true are passed over."""
        self._leased = 0
        self._count = itertools.count(1)

    def add(self, record: Record, now: float) -> None:
        """Let a record wait from `now` on. If an older record of its key waits, it takes its place.

        The caller holds the database's lock, and commits the record before it lets go.
        """
        key = stored_text(record.key)
        outcome = getattr(record, "outcome", None)
        waiting = self._waiting.get(key)
        if waiting is None:
            self._insert(key, _Waiting(record, outcome, now, next(self._count)))
        else:
            waiting.record, waiting.outcome = record, outcome
            waiting.version += 1

    def load(self, db: sqlite3.Connection) -> None:
        """Take the waiting records that another process put, or that were put back in order."""
        rows = db.execute(
            "select key, outcome from delivery left join record using (run, key)"
            " where run = ? and sink = ? and state = 'waiting' order by delivery.id",
            self._where,
        )
        for key, outcome in rows:
            if key not in self._waiting:
                self._insert(key, _Waiting(None, outcome, 0.0, next(self._count)))

    def records(self) -> list[Record]:
        """The records of this process that the sink has not settled."""
        return [w.record for w in self._waiting.values() if w.record is not None]

    def count_nodes(self) -> int:
        """How many nodes wait or are on their way."""
        return len(self._waiting) - (RunRecord.key in self._waiting)

    def lease(self, now: float) -> Leased | None:
        """The due record that has waited longest; None if no record can be leased now."""
        with self._database.lock:
            key = self._first()
            if key is None or self._waiting[key].due > now:
                return None
            waiting = self._waiting[key]
            record = waiting.record or self._records.read(key)
            if record is None:
                self._write([key], "rejected", UNREADABLE)
                del self._waiting[key]
                return None
            heapq.heappop(self._order)
            waiting.is_leased = True
            self._leased += 1
            return Leased(record, waiting.version)

    def acknowledge(self, *leased: Leased) -> None:
        """The sink has these records."""
        self._settle(leased, "delivered", None)

    def reject(self, leased: Leased, reason: str) -> None:
        """The sink will never take the record."""
        self._settle((leased,), "rejected", reason)

    def put_back(self, leased: Leased, due: float, reason: str) -> None:
        """Let the record wait again until `due`; if its key has a newer record, that one waits."""
        key = stored_text(leased.record.key)
        with self._database.lock:
            self._write([key], "waiting", reason)
            self._waiting[key].due = due
            self._release(key)

    def correct_reason(self, wrong: str, right: str) -> None:
        """Change the reason of waiting records that have the reason `wrong`."""
        self._database.execute(
            "update delivery set reason = ? where run = ? and sink = ? and state = 'waiting'"
            " and reason = ?",
            (right, *self._where, wrong),
        )

    def make_all_due(self, now: float, order: Order) -> None:
        """Make every waiting record due now, in the given order."""
        with self._database.lock:
            for key, waiting in self._waiting.items():
                waiting.due = min(waiting.due, now)
                if key == RunRecord.key:
                    waiting.due = _LAST if order == "run last" else _FIRST
                elif order == "worst first" and waiting.outcome in FAILED:
                    waiting.due = _WORST
            self._order = [
                (waiting.due, waiting.place, key)
                for key, waiting in self._waiting.items()
                if not waiting.is_leased
            ]
            heapq.heapify(self._order)

    def put_run_record_first(self) -> None:
        """Make the run record the next one: a task that waits for a node needs it most."""
        with self._database.lock:
            waiting = self._waiting.get(RunRecord.key)
            if waiting is not None:
                waiting.due = _FIRST
                heapq.heappush(self._order, (_FIRST, waiting.place, RunRecord.key))

    def next_due(self) -> float | None:
        """The earliest due time of a waiting record that is not leased; None if there is none."""
        with self._database.lock:
            key = self._first()
            return None if key is None else self._waiting[key].due

    @property
    def is_sending(self) -> bool:
        """Whether a record is leased."""
        return self._leased > 0

    def account(self) -> Account:
        """What became of every record of the run."""
        rows = self._database.rows(
            "select key, state, reason from delivery where run = ? and sink = ? order by id",
            self._where,
        )
        return Account(
            {key for key, state, _ in rows if state == "delivered"},
            {key: reason or NOT_SENT for key, state, reason in rows if state == "waiting"},
            {key: reason for key, state, reason in rows if state == "rejected"},
        )

    def retry_rejected(self) -> None:
        """Let every rejected record wait again."""

        def retry(db: sqlite3.Connection) -> None:
            db.execute(
                "update delivery set state = 'waiting'"
                " where run = ? and sink = ? and state = 'rejected'",
                self._where,
            )
            self.load(db)

        self._database.transact(retry)

    @property
    def _where(self) -> tuple[int, str]:
        """The values for `run = ? and sink = ?`."""
        return self._records.number, stored_text(self.sink)

    def _first(self) -> str | None:
        """The key of the record to lease next; None if none waits."""
        while self._order:
            due, place, key = self._order[0]
            waiting = self._waiting.get(key)
            # A record that was put again after it was settled has another place.
            if (
                waiting is not None
                and not waiting.is_leased
                and (waiting.due, waiting.place) == (due, place)
            ):
                return key
            heapq.heappop(self._order)
        return None

    def _insert(self, key: str, waiting: _Waiting) -> None:
        self._waiting[key] = waiting
        heapq.heappush(self._order, (waiting.due, waiting.place, key))

    def _release(self, key: str) -> None:
        """The record of this key is no longer on its way."""
        waiting = self._waiting[key]
        waiting.is_leased = False
        self._leased -= 1
        heapq.heappush(self._order, (waiting.due, waiting.place, key))

    def _settle(self, leased: tuple[Leased, ...], state: str, reason: str | None) -> None:
        """The sink has answered. Where a key has a newer record, that one goes on waiting."""
        with self._database.lock:
            keys = [stored_text(one.record.key) for one in leased]
            newest = [
                key
                for key, one in zip(keys, leased, strict=True)
                if self._waiting[key].version == one.version
            ]
            if newest:
                self._write(newest, state, reason)
            for key in keys:
                self._release(key)
            for key in newest:
                del self._waiting[key]

    def _write(self, keys: list[str], state: str, reason: str | None) -> None:
        """Write what became of records."""
        stored = None if reason is None else stored_text(reason)
        self._database.transact(
            lambda db: db.executemany(
                "update delivery set state = ?, reason = ? where run = ? and sink = ? and key = ?",
                [(state, stored, *self._where, key) for key in keys],
            )
        )
