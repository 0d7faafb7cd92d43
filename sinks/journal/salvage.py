"""Copies what can still be read from a damaged journal."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ...records.schema import read_record

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from ...records.schema import Record

ADDED_COLUMNS: Final = {
    2: {"airflow_url": "text", "project_dir": "text", "environment": "text", "renews": "integer"},
}
"""The columns of the table `run` that each version of the journal added, with their types."""

COLUMNS_OF: Final = {
    "run": (
        "id", "token", "command", "cwd", "target_dir", "dag_id", "run_id", "task_id", "map_index",
        "attempt", "started_at", *(name for added in ADDED_COLUMNS.values() for name in added),
    ),
    "sink": ("run", "name", "address"),
    "record": ("run", "key", "version", "outcome", "body"),
    "delivery": ("run", "sink", "key", "state", "reason"),
}  # fmt: skip
"""The columns of each table that are copied."""
_MOST_ROWS: Final = 500_000
"""A table with more rows than this is not believed: its numbers are damaged."""
SMALLEST_PAGE: Final = 512
"""Bytes of the smallest page that SQLite has."""
_PAGE: Final = 4096
"""Bytes of a page of the journal."""
_WITHOUT_RECORD: Final = """from delivery where not exists
    (select 1 from record where record.run = delivery.run and record.key = delivery.key)"""
_REPAIRS: Final = (
    f"delete {_WITHOUT_RECORD}",
    # A record is sent twice rather than never.
    """insert or ignore into delivery (run, sink, key)
    select run, name, key from record join sink using (run)""",
    """insert or ignore into run (id, token, command, started_at)
    select distinct run, 'nameless-' || run, '["?"]', strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    from record""",
)
"""These restore what holds in a whole journal after rows of one table were lost."""


class Connection(sqlite3.Connection):
    """Takes any text: a folder's name may be any bytes, and dbt's log can have lone surrogates."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        try:
            return super().execute(sql, parameters)
        except UnicodeEncodeError:
            storable = [stored_text(v) if isinstance(v, str) else v for v in parameters]
            return super().execute(sql, storable)
        except UnicodeDecodeError as error:  # SQLite's message quotes bytes of the file
            raise sqlite3.DatabaseError("it has text that is not UTF-8") from error


def stored_text(text: str) -> str:
    """The text as SQLite stores it: lone surrogates become escapes."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


@dataclass(slots=True)
class Copied:
    """How many records were copied, and how many could not be read."""

    records: int = 0
    lost: int = 0


def salvage(path: Path, into: sqlite3.Connection) -> Copied:
    """Copy what can be read from a damaged file."""
    try:
        if path.stat().st_size < SMALLEST_PAGE:
            return _salvage_log(path, into)
        old = sqlite3.connect(path, isolation_level=None, factory=Connection)
    except (sqlite3.Error, OSError):
        return Copied()
    with contextlib.closing(old):
        with contextlib.suppress(sqlite3.Error):
            # Without this SQLite reads nothing from a file that is shorter than its header says.
            old.execute("pragma writable_schema = on")
        return copy_rows(old, into)


def _salvage_log(path: Path, into: sqlite3.Connection) -> Copied:
    """Copy from the write-ahead log of a file that is cut short. The log may have every page, but
    SQLite would throw it away.

    This reads copies of the files, and leaves the damaged files as they are.
    """
    log = path.with_name(f"{path.name}-wal")
    if not log.is_file():
        return Copied()
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{path.name}.salvage-") as scratch:
        whole = Path(scratch) / path.name
        whole.write_bytes(bytes(_PAGE))
        shutil.copyfile(log, whole.with_name(log.name))
        return salvage(whole, into)


def copy_rows(
    old: sqlite3.Connection, new: sqlite3.Connection, only: Collection[int] | None = None
) -> Copied:
    """Copy rows one by one, so that a damaged page costs only the rows on it.

    `only` has the numbers of the runs to copy; None copies all. A run keeps its number, by which
    people know it.
    """
    copied = Copied()
    new.execute("begin immediate")
    for table in COLUMNS_OF:
        columns = _columns(old, table)
        names = ", ".join(columns)
        places = ", ".join("?" * len(columns))
        for row in _rows(old, table, names, only):
            if row is None or (table == "record" and read_body(row[-1], row[1]) is None):
                copied.lost += table == "record"
                continue
            done = new.execute(
                f"insert or ignore into {table} ({names}) values ({places})",  # noqa: S608
                row,
            )
            copied.records += table == "record" and done.rowcount > 0
    (missing,) = new.execute(f"select count(distinct key) {_WITHOUT_RECORD}").fetchone()
    copied.lost = max(copied.lost, missing)
    for repair in _REPAIRS:
        new.execute(repair)
    new.execute("commit")
    return copied


def read_body(body: object, key: str) -> Record | None:
    """The record in a stored body; None if the body is damaged, or the record has another key."""
    try:
        record = read_record(json.loads(body)) if isinstance(body, (bytes, str)) else None
    except (ValueError, RecursionError):
        return None
    return record if record is not None and stored_text(record.key) == key else None


def _columns(db: sqlite3.Connection, table: str) -> tuple[str, ...]:
    """The columns to copy that this journal has: an older version has fewer."""
    columns = COLUMNS_OF[table]
    for added in reversed(ADDED_COLUMNS.values()):
        try:
            db.execute(f"select {', '.join(columns)} from {table} limit 0")  # noqa: S608
        except sqlite3.Error as error:
            if not str(error).startswith("no such column"):
                break
            columns = tuple(name for name in columns if name not in added)
    return columns


def _rows(
    db: sqlite3.Connection, table: str, names: str, only: Collection[int] | None
) -> Iterator[tuple[Any, ...] | None]:
    """Each row of a table; None for a row that cannot be read."""
    run = "id" if table == "run" else "run"
    if only is not None:
        with contextlib.suppress(sqlite3.Error):
            # The plus sign keeps SQLite from using an index, which may be damaged.
            query = f"select {names} from {table} where +{run} in ({', '.join('?' * len(only))})"  # noqa: S608
            yield from db.execute(query, [*only]).fetchall()
            return
    for number in _row_numbers(db, table):
        try:
            row = db.execute(
                f"select {run}, {names} from {table} where id = ?",  # noqa: S608
                (number,),
            ).fetchone()
        except sqlite3.Error:
            yield None
        else:
            if row is not None and (only is None or row[0] in only):
                yield row[1:]


def _row_numbers(db: sqlite3.Connection, table: str) -> range:
    """Every number that a row of the table may have. Of three sources each may be damaged."""
    found: list[int] = []
    for query in (
        f"select max(id) from {table}",  # noqa: S608
        f"select seq from sqlite_sequence where name = '{table}'",  # noqa: S608
        f"select min(id) from {table}",  # noqa: S608
    ):
        with contextlib.suppress(sqlite3.Error):
            number = (db.execute(query).fetchone() or (0,))[0]
            found.append(number if isinstance(number, int) else 0)
    if not any(found):
        return range(0)
    first = found.pop() if len(found) > 2 else 0
    last = max((n for n in found if n - first <= _MOST_ROWS), default=first + _MOST_ROWS)
    return range(first, last + 1)
