"""The rows of one run's records, and of the sinks that they wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...records.values import encode
from .salvage import read_body, stored_text

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from ...records.schema import Record
    from .database import Database


class RunRecords:
    """The records of the run `number`, which changes when the run moves to another database."""

    def __init__(self, database: Database, number: int) -> None:
        self.database = database
        self.number = number

    def insert(self, db: sqlite3.Connection, records: Iterable[Record]) -> None:
        """Write records in the open transaction; each replaces the record with the same key."""
        db.executemany(
            "insert into record (run, key, outcome, body) values (?, ?, ?, ?)"
            " on conflict (run, key) do update set version = version + 1,"
            " outcome = excluded.outcome, body = excluded.body",
            [
                (self.number, stored_text(r.key), getattr(r, "outcome", None), encode(r.to_json()))
                for r in records
            ],
        )

    def insert_waiting(self, db: sqlite3.Connection, sink: str, records: Iterable[Record]) -> None:
        """Write in the open transaction that these records wait for a sink."""
        db.executemany(
            "insert into delivery (run, sink, key) values (?, ?, ?)"
            " on conflict (run, sink, key) do update set state = 'waiting',"
            " reason = case state when 'waiting' then reason end",
            [(self.number, stored_text(sink), stored_text(r.key)) for r in records],
        )

    def absent(self, db: sqlite3.Connection, records: Sequence[Record]) -> list[Record]:
        """The records that the database does not have, or has in another form."""
        query = "select body from record where run = ? and key = ?"
        return [
            record
            for record in records
            if db.execute(query, (self.number, record.key)).fetchone()
            != (encode(record.to_json()),)
        ]

    def read(self, stored_key: str) -> Record | None:
        """The newest record of a key; None if it cannot be read."""
        query = "select body from record where run = ? and key = ?"
        rows = self.database.rows(query, (self.number, stored_key))
        return read_body(rows[0][0], stored_key) if rows else None

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
