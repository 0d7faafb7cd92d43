"""The queue of one sink: the records of a run that wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from ...records.schema import RunRecord
from .rows import NOT_SENT, UNREADABLE, Account, Leased
from .salvage import read_body, stored_text

if TYPE_CHECKING:
    import sqlite3

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


class SinkQueue:
    """The records of one run that wait for one sink.

    `lease` hands out a record, and the caller then passes it to `acknowledge`, `reject` or
    `put_back`. A lease ends when its process ends. Times are seconds of the caller's clock.
    """

    def __init__(self, records: RunRecords, sink: str) -> None:
        self.sink = sink
        self.in_flight: dict[str, int] = {}
        """The version of each leased record, by stored key."""
        self._records = records
        self._database = records.database
        self._settled: set[tuple[str, int]] = set()
        """Keys and versions that are not leased again. A damaged index may list them for ever."""

    def lease(self, now: float) -> Leased | None:
        """The due record that has waited longest; None if no record can be leased now."""
        rows = self._database.rows(
            "select key, version, body from delivery left join record using (run, key)"
            " where run = ? and sink = ? and state = 'waiting' and due <= ?"
            " order by due, delivery.id limit ?",
            (*self._where, now, len(self.in_flight) + 1),
        )
        for key, version, body in rows:
            if key in self.in_flight:
                continue
            record = read_body(body, key)
            if (key, version) in self._settled:
                self._database.set_aside("it lists a settled record as waiting")
                return None
            if record is None:
                self._replace_unreadable(key, version)
                return None
            self.in_flight[key] = version
            return Leased(record, version)
        return None

    def acknowledge(self, leased: Leased) -> None:
        """The sink has the record."""
        self._settle(leased, "delivered", None)

    def reject(self, leased: Leased, reason: str) -> None:
        """The sink will never take the record."""
        self._settle(leased, "rejected", reason)

    def put_back(self, leased: Leased, due: float, reason: str) -> None:
        """Let the record wait again until `due`; if its key has a newer record, that one waits."""
        key = leased.record.key
        self._database.execute(
            "update delivery set due = ?, reason = ? where run = ? and sink = ? and key = ?",
            (due, reason, *self._where, key),
        )
        del self.in_flight[stored_text(key)]

    def correct_reason(self, wrong: str, right: str) -> None:
        """Change the reason of waiting records that have the reason `wrong`."""
        self._database.execute(
            "update delivery set reason = ? where run = ? and sink = ? and state = 'waiting'"
            " and reason = ?",
            (right, *self._where, wrong),
        )

    def make_all_due(self, now: float, order: Order) -> None:
        """Make every waiting record due now, in the given order."""
        self.put_run_record_first()
        self._database.execute(
            "update delivery set due = ? where run = ? and sink = ? and state = 'waiting'"
            " and due > ?",
            (now, *self._where, now),
        )
        if order == "run last":
            self._move_run_record(_LAST)
        elif order == "worst first":
            self._database.execute(
                "update delivery set due = ? where run = ? and sink = ? and state = 'waiting'"
                " and key in (select key from record where run = ?"
                " and outcome in ('failure', 'interrupted'))",
                (_WORST, *self._where, self._records.number),
            )

    def put_run_record_first(self) -> None:
        """Make the run record the next one: a task that waits for a node needs it most."""
        self._move_run_record(_FIRST)

    def next_due(self) -> float | None:
        """The earliest due time of a waiting record that is not leased; None if there is none."""
        rows = self._database.rows(
            "select key, due from delivery where run = ? and sink = ? and state = 'waiting'"
            " order by due, id limit ?",
            (*self._where, len(self.in_flight) + 1),
        )
        return next((due for key, due in rows if key not in self.in_flight), None)

    @property
    def is_sending(self) -> bool:
        """Whether a record is leased."""
        return bool(self.in_flight)

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
        self._settled.clear()
        self._database.execute(
            "update delivery set state = 'waiting', due = 0"
            " where run = ? and sink = ? and state = 'rejected'",
            self._where,
        )

    def forget_settled(self) -> None:
        """The database was replaced: a record that the new one lists as waiting is to be sent."""
        self._settled.clear()

    @property
    def _where(self) -> tuple[int, str]:
        """The values for `run = ? and sink = ?`."""
        return self._records.number, self.sink

    def _move_run_record(self, due: float) -> None:
        self._database.execute(
            "update delivery set due = ? where run = ? and sink = ? and state = 'waiting'"
            " and key = ?",
            (due, *self._where, RunRecord.key),
        )

    def _settle(self, leased: Leased, state: str, reason: str | None) -> None:
        key = leased.record.key
        newest = (*self._where, key, self._records.number, key, leased.version)

        def settle(db: sqlite3.Connection) -> None:
            done = db.execute(
                "update delivery set state = ?, reason = ? where run = ? and sink = ? and key = ?"
                " and (select version from record where run = ? and key = ?) = ?",
                (state, reason, *newest),
            )
            if done.rowcount:
                self._records.mark_settled(key, self.sink)

        self._database.transact(settle)
        self._settled.add((stored_text(key), leased.version))
        del self.in_flight[stored_text(key)]

    def _replace_unreadable(self, key: str, version: int) -> None:
        """Write the record again, or reject it if this process does not have it."""
        self._settled.add((key, version))
        if not self._records.write_again(key):
            self._database.execute(
                "update delivery set state = 'rejected', reason = ?"
                " where run = ? and sink = ? and key = ?",
                (UNREADABLE, *self._where, key),
            )
