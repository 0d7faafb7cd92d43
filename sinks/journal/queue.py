"""What waits for one sink of a run, and what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from ...records.schema import RunRecord
from .rows import NOT_SENT, UNREADABLE, Account, Leased
from .salvage import read_body, stored_text

if TYPE_CHECKING:
    import sqlite3

    from .run_records import RunRecords

Order = Literal["run first", "worst first", "run last"]
"""In which order a flush sends.

- `run first`: the run's own record, then the others as they came.
- `worst first`: the run's own record, then the failures, then the others.
- `run last`: the run's own record once nothing else is left to send, in a flush that follows.
"""

_FIRST: Final = -2.0
_WORST: Final = -1.0
"""Due before all that has ever been put."""
_LAST: Final = 1e18


class SinkQueue:
    """The records of one run that wait for one sink.

    `lease` hands out a record; `acknowledge`, `reject` or `put_back` settles it. Nothing else takes
    a record out of the queue. A lease ends with its process. The caller gives the time in seconds.
    """

    def __init__(self, records: RunRecords, sink: str) -> None:
        self.sink = sink
        self.in_flight: dict[str, int] = {}
        """The versions that are leased, by stored key."""
        self._records = records
        self._database = records.database
        self._settled: set[tuple[str, int]] = set()
        """What must not come back: a damaged index can bring it back for ever."""

    def lease(self, now: float) -> Leased | None:
        """The record that is due and has waited longest, if any. The caller has to settle it."""
        rows = self._database.rows(
            "select key, version, body from delivery left join record using (run, key)"
            " where run = ? and sink = ? and state = 'waiting' and due <= ?"
            " order by due, delivery.id limit ?",
            (*self._place, now, len(self.in_flight) + 1),
        )
        for key, version, body in rows:
            if key in self.in_flight:
                continue
            record = read_body(body, key)
            if (key, version) in self._settled:
                self._database.set_aside("it lists a record as waiting that was settled before")
                return None
            if record is None:
                self._replace_unreadable(key, version)
                return None
            self.in_flight[key] = version
            return Leased(record, version)
        return None

    def acknowledge(self, leased: Leased) -> None:
        """The sink has it."""
        self._settle(leased, "delivered", None)

    def reject(self, leased: Leased, reason: str) -> None:
        """The sink will never take it."""
        self._settle(leased, "rejected", reason)

    def put_back(self, leased: Leased, due: float, reason: str) -> None:
        """Try it again at `due`, or the newer record of its key if one came meanwhile."""
        key = leased.record.key
        self._database.execute(
            "update delivery set due = ?, reason = ? where run = ? and sink = ? and key = ?",
            (due, reason, *self._place, key),
        )
        del self.in_flight[stored_text(key)]

    def correct_reason(self, wrong: str, right: str) -> None:
        """Give another reason for what waits with a reason that proved wrong."""
        self._database.execute(
            "update delivery set reason = ? where run = ? and sink = ? and state = 'waiting'"
            " and reason = ?",
            (right, *self._place, wrong),
        )

    def make_all_due(self, now: float, order: Order) -> None:
        """Everything that waits is due now; `order` says what goes before the rest."""
        self.put_run_record_first()
        self._database.execute(
            "update delivery set due = ? where run = ? and sink = ? and state = 'waiting'"
            " and due > ?",
            (now, *self._place, now),
        )
        if order == "run last":
            self._move_run_record(_LAST)
        elif order == "worst first":
            self._database.execute(
                "update delivery set due = ? where run = ? and sink = ? and state = 'waiting'"
                " and key in (select key from record where run = ?"
                " and outcome in ('failure', 'interrupted'))",
                (_WORST, *self._place, self._records.number),
            )

    def put_run_record_first(self) -> None:
        """The run's own record is next: whoever waits for a node needs it most."""
        self._move_run_record(_FIRST)

    def next_due(self) -> float | None:
        """When the next record may be leased; None if none may be before another is settled."""
        rows = self._database.rows(
            "select key, due from delivery where run = ? and sink = ? and state = 'waiting'"
            " order by due, id limit ?",
            (*self._place, len(self.in_flight) + 1),
        )
        return next((due for key, due in rows if key not in self.in_flight), None)

    @property
    def is_sending(self) -> bool:
        return bool(self.in_flight)

    def account(self) -> Account:
        """What has become of every record that was put."""
        rows = self._database.rows(
            "select key, state, reason from delivery where run = ? and sink = ? order by id",
            self._place,
        )
        return Account(
            {key for key, state, _ in rows if state == "delivered"},
            {key: reason or NOT_SENT for key, state, reason in rows if state == "waiting"},
            {key: reason for key, state, reason in rows if state == "rejected"},
        )

    def retry_rejected(self) -> None:
        """What was rejected waits again."""
        self._settled.clear()
        self._database.execute(
            "update delivery set state = 'waiting', due = 0"
            " where run = ? and sink = ? and state = 'rejected'",
            self._place,
        )

    def forget_settled(self) -> None:
        """Another file takes the place of the journal's: what it lists as waiting does wait."""
        self._settled.clear()

    @property
    def _place(self) -> tuple[int, str]:
        return self._records.number, self.sink

    def _move_run_record(self, due: float) -> None:
        self._database.execute(
            "update delivery set due = ? where run = ? and sink = ? and state = 'waiting'"
            " and key = ?",
            (due, *self._place, RunRecord.key),
        )

    def _settle(self, leased: Leased, state: str, reason: str | None) -> None:
        key = leased.record.key

        def settle(db: sqlite3.Connection) -> None:
            done = db.execute(
                "update delivery set state = ?, reason = ? where run = ? and sink = ? and key = ?"
                " and (select version from record where run = ? and key = ?) = ?",
                (state, reason, *self._place, key, self._records.number, key, leased.version),
            )
            if done.rowcount:
                self._records.has_settled(key, self.sink)

        self._database.transact(settle)
        self._settled.add((stored_text(key), leased.version))
        del self.in_flight[stored_text(key)]

    def _replace_unreadable(self, key: str, version: int) -> None:
        """Write a record again that cannot be read; reject one that this process does not have."""
        self._settled.add((key, version))
        if not self._records.write_again(key):
            self._database.execute(
                "update delivery set state = 'rejected', reason = ?"
                " where run = ? and sink = ? and key = ?",
                (UNREADABLE, *self._place, key),
            )
