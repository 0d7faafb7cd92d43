"""Reads what can still be read of a damaged journal."""

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

ADDED: Final = {
    2: {"airflow_url": "text", "project_dir": "text", "environment": "text", "renews": "integer"},
}
"""Columns of the table of runs that a version of the journal was the first to have."""

COPIED: Final = {
    "run": (
        "id", "token", "command", "cwd", "target_dir", "dag_id", "run_id", "task_id", "map_index",
        "attempt", "started_at", *(name for columns in ADDED.values() for name in columns),
    ),
    "sink": ("run", "name", "address"),
    "record": ("run", "key", "version", "outcome", "body"),
    "delivery": ("run", "sink", "key", "state", "reason"),
}  # fmt: skip
_MOST_ROWS: Final = 500_000
SMALLEST: Final = 512
"""Bytes of the smallest page that SQLite has."""
_PAGE: Final = 4096
_BEREFT: Final = """from delivery where not exists
    (select 1 from record where record.run = delivery.run and record.key = delivery.key)"""
_REPAIRS: Final = (
    f"delete {_BEREFT}",
    # Twice is better than never.
    """insert or ignore into delivery (run, sink, key)
    select run, name, key from record join sink using (run)""",
    """insert or ignore into run (id, token, command, started_at)
    select distinct run, 'nameless-' || run, '["?"]', strftime('%Y-%m-%dT%H:%M:%fZ', 'now')
    from record""",
)
"""What holds in a whole journal, and may not where rows of one table were lost."""


class Connection(sqlite3.Connection):
    """Takes any text: a folder's name may be no UTF-8, and dbt's log can hold lone surrogates."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        try:
            return super().execute(sql, parameters)
        except UnicodeEncodeError:
            storable = [stored_text(v) if isinstance(v, str) else v for v in parameters]
            return super().execute(sql, storable)
        except UnicodeDecodeError as error:  # what SQLite says quotes what it found in the file
            raise sqlite3.DatabaseError("it holds text that is none") from error


def stored_text(text: str) -> str:
    """The text as SQLite stores it: lone surrogates become escapes."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


@dataclass(slots=True)
class Copied:
    """How many records were read, and how many rows of them could not be."""

    records: int = 0
    lost: int = 0


def salvage(path: Path, into: sqlite3.Connection) -> Copied:
    """Copy what can be read of a damaged file."""
    try:
        if path.stat().st_size < SMALLEST:
            return _salvage_log(path, into)
        old = sqlite3.connect(path, isolation_level=None, factory=Connection)
    except (sqlite3.Error, OSError):
        return Copied()
    with contextlib.closing(old):
        with contextlib.suppress(sqlite3.Error):
            # Or SQLite reads nothing of a file that is shorter than its header says.
            old.execute("pragma writable_schema = on")
        return copy(old, into)


def _salvage_log(path: Path, into: sqlite3.Connection) -> Copied:
    """Of a file that is cut short the log may hold every page, which SQLite would throw away.

    From copies: what is damaged stays as it is.
    """
    log = path.with_name(f"{path.name}-wal")
    if not log.is_file():
        return Copied()
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{path.name}.salvage-") as scratch:
        whole = Path(scratch) / path.name
        whole.write_bytes(bytes(_PAGE))
        shutil.copyfile(log, whole.with_name(log.name))
        return salvage(whole, into)


def copy(
    old: sqlite3.Connection, new: sqlite3.Connection, only: Collection[int] | None = None
) -> Copied:
    """Copy rows one by one, since a damaged page must not take the others with it.

    `only` limits this to some runs. They keep their numbers, by which people know them.
    """
    copied = Copied()
    new.execute("begin immediate")
    for table in COPIED:
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
    (bereft,) = new.execute(f"select count(distinct key) {_BEREFT}").fetchone()
    copied.lost = max(copied.lost, bereft)
    for repair in _REPAIRS:
        new.execute(repair)
    new.execute("commit")
    return copied


def read_body(body: object, key: str) -> Record | None:
    """The record of this key in a stored body; None if damage has made it unreadable."""
    try:
        record = read_record(json.loads(body)) if isinstance(body, (bytes, str)) else None
    except (ValueError, RecursionError):
        return None
    return record if record is not None and stored_text(record.key) == key else None


def _columns(db: sqlite3.Connection, table: str) -> tuple[str, ...]:
    """Those of a table that a journal has: one of an older version lacks what was added since."""
    columns = COPIED[table]
    for added in reversed(ADDED.values()):
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
    """Each row that is there, None for one that cannot be read."""
    run = "id" if table == "run" else "run"
    if only is not None:
        with contextlib.suppress(sqlite3.Error):
            # By the table, since an index may be what is damaged.
            query = f"select {names} from {table} where +{run} in ({', '.join('?' * len(only))})"  # noqa: S608
            yield from db.execute(query, [*only]).fetchall()
            return
    for number in _ids(db, table):
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


def _ids(db: sqlite3.Connection, table: str) -> range:
    """All that a row may have; what says so may be damaged itself."""
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
