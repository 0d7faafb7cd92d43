"""The records of one run: their rows, and the sinks that have not settled them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...records.schema import RunRecord
from ...records.values import encode
from .salvage import read_body, stored_text

if TYPE_CHECKING:
    import sqlite3

    from ...records.schema import Record
    from .database import Database


class RunRecords:
    """The records of the run `number`, which changes when the run moves to another database.

    `unsettled` has each record that a sink has not settled, by key, with the names of those sinks.
    A database that replaces this one gets them from here.
    """

    def __init__(self, database: Database, number: int) -> None:
        self.database = database
        self.number = number
        self.unsettled: dict[str, tuple[Record, set[str]]] = {}

    def put(self, record: Record, sinks: set[str], now: float) -> None:
        """Commit a record that waits for `sinks`, from `now` on."""

        def insert(db: sqlite3.Connection) -> None:
            if sinks:
                self.unsettled[record.key] = (record, sinks)
            self.insert(db, record, sinks, now)

        self.database.transact(insert)

    def insert(
        self,
        db: sqlite3.Connection,
        record: Record,
        sinks: set[str],
        now: float,
        version: int = 1,
    ) -> None:
        """Write a record in the open transaction; it replaces the record with the same key."""
        outcome, body = getattr(record, "outcome", None), encode(record.to_json())
        db.execute(
            "insert into record (run, key, version, outcome, body) values (?, ?, ?, ?, ?)"
            " on conflict (run, key) do update set version = version + 1,"
            " outcome = excluded.outcome, body = excluded.body",
            (self.number, record.key, version, outcome, body),
        )
        for sink in sinks:
            db.execute(
                "insert into delivery (run, sink, key, due) values (?, ?, ?, ?)"
                " on conflict (run, sink, key) do update set state = 'waiting',"
                " due = case state when 'waiting' then due else excluded.due end,"
                " reason = case state when 'waiting' then reason end",
                (self.number, sink, record.key, now),
            )

    def mark_settled(self, key: str, sink: str) -> None:
        """The sink has settled the newest record of this key."""
        if key in self.unsettled:
            self.unsettled[key][1].discard(sink)
            if not self.unsettled[key][1]:
                del self.unsettled[key]

    def count_unsettled(self, sink: str) -> int:
        """How many nodes a sink has not settled."""
        waiting = [*self.unsettled.values()]
        return sum(sink in sinks and record.key != RunRecord.key for record, sinks in waiting)

    def write_again(self, stored_key: str) -> bool:
        """Write a record again whose row cannot be read; False if this process does not have it."""
        known = next(
            (r for r, _ in self.unsettled.values() if stored_text(r.key) == stored_key), None
        )
        if known is None:
            return False
        self.database.transact(lambda db: self.insert(db, known, set(), 0.0))
        return True

    def restore(self, db: sqlite3.Connection, in_flight: dict[str, int]) -> None:
        """Write the unsettled records into a database that replaces another.

        `in_flight` has the versions that are on their way to a sink, by stored key. No restored
        record gets such a version: the sink's answer would be taken for the answer to that record.
        """
        for key, (record, sinks) in self.unsettled.items():
            row = db.execute(
                "select body from record where run = ? and key = ?", (self.number, key)
            ).fetchone()
            if row is None or row[0] != encode(record.to_json()):
                version = 1 + in_flight.get(stored_text(key), 0)
                self.insert(db, record, sinks, 0.0, version)

    def count_committed(self) -> int:
        """How many records were ever committed, including records that others have replaced."""
        return self.database.rows(
            "select coalesce(sum(version), 0) from record where run = ?", (self.number,)
        )[0][0]

    def newest(self) -> list[Record]:
        """The newest record of each key, in the order in which the keys were first put."""
        rows = self.database.rows(
            "select key, body from record where run = ? order by id", (self.number,)
        )
        found = (read_body(body, key) for key, body in rows)
        return [record for record in found if record is not None]
