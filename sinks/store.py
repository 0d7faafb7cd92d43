"""The journal's file: how it is opened, and what becomes of one that is damaged."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ..parser.records import read_record
from .claim import Claim

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from ..parser.records import Record

FILE: Final = "journal.db"
SET_ASIDE: Final = f"{FILE}.damaged-"
WHEN: Final = "%Y%m%dT%H%M%S"
"""Follows in its name: the time in UTC."""

_PARTS: Final = ("", "-wal", "-shm")
VERSION: Final = 1
BUSY: Final = 3.0
"""Seconds to wait for another process that is writing; a transaction takes a tenth of a
millisecond."""

_OPENING: Final = 10.0
_MOST_ROWS: Final = 500_000
_SMALLEST: Final = 512
"""Bytes of the smallest page that SQLite has."""
_LOG_PAGES: Final = 4_000
"""The write-ahead log's bound, 16 MB, where no worker gets round to a checkpoint."""
_SCHEMA: Final = """
create table run (
    id integer primary key autoincrement,
    token text not null,
    command text not null,
    cwd text,
    target_dir text,
    dag_id text,
    run_id text,
    task_id text,
    map_index integer,
    attempt integer,
    started_at text not null
);
create table sink (
    id integer primary key autoincrement,
    run integer not null,
    name text not null,
    address text not null,
    unique (run, name)
);
create table record (
    id integer primary key autoincrement,
    run integer not null,
    key text not null,
    version integer not null default 1,
    outcome text,
    body blob not null,
    unique (run, key)
);
create table delivery (
    id integer primary key autoincrement,
    run integer not null,
    sink text not null,
    key text not null,
    state text not null default 'waiting',
    reason text,
    due real not null default 0,
    unique (run, sink, key)
);
create index waiting on delivery (run, sink, due, id) where state = 'waiting';
"""
_COPIED: Final = {
    "run": (
        "id", "token", "command", "cwd", "target_dir", "dag_id", "run_id", "task_id", "map_index",
        "attempt", "started_at",
    ),
    "sink": ("run", "name", "address"),
    "record": ("run", "key", "version", "outcome", "body"),
    "delivery": ("run", "sink", "key", "state", "reason"),
}  # fmt: skip
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


class DamagedError(Exception):
    """The file is no journal of this version."""


class _Connection(sqlite3.Connection):
    """Takes any text: a folder's name may be no UTF-8, and dbt's log can hold lone surrogates."""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        try:
            return super().execute(sql, parameters)
        except UnicodeEncodeError:
            legible = [plain(v) if isinstance(v, str) else v for v in parameters]
            return super().execute(sql, legible)
        except UnicodeDecodeError as error:  # what SQLite says quotes what it found in the file
            raise sqlite3.DatabaseError("it holds text that is none") from error


def plain(text: str) -> str:
    """A text as the journal has it."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def connect(path: Path | None) -> sqlite3.Connection:
    """A journal, new if there is none; in memory without a path.

    Raises DamagedError, or sqlite3.OperationalError where the file cannot be used now. A commit
    survives the death of every process, hence no fsync at each: what a host without power loses is
    the last moment, never the whole.
    """
    db = sqlite3.connect(
        path or ":memory:",
        timeout=BUSY,
        isolation_level=None,
        check_same_thread=False,
        factory=_Connection,
    )
    try:
        db.execute("pragma synchronous = normal")
        db.execute(f"pragma wal_autocheckpoint = {_LOG_PAGES}")
        (version,) = db.execute("pragma user_version").fetchone()
        if version == 0 and not db.execute("select count(*) from sqlite_master").fetchone()[0]:
            db.execute("pragma auto_vacuum = incremental")
            db.execute("pragma journal_mode = wal")
            db.executescript(f"begin immediate;{_SCHEMA}pragma user_version = {VERSION};commit")
        elif version != VERSION:
            raise DamagedError(f"its version is {version}, not {VERSION}")
        else:
            db.execute("pragma journal_mode = wal")
            for table in _COPIED:
                db.execute(f"select id from {table} limit 1").fetchone()  # noqa: S608
    except sqlite3.Error as error:
        db.close()
        if is_damage(error):
            raise DamagedError(str(error)) from error
        raise
    except DamagedError:
        db.close()
        raise
    return db


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself is bad: not a full disk, a lock or a missing permission."""
    if isinstance(error, sqlite3.OperationalError):
        return str(error).startswith(("no such ", "table ", "malformed", "Could not decode "))
    return True


@dataclass(frozen=True, slots=True)
class Opened:
    """An open journal, which file it is, and what there is to say of its predecessor."""

    db: sqlite3.Connection
    inode: int
    note: str | None = None


def open_store(
    state_dir: Path, name_aside: Callable[[], str], damaged: tuple[int, object] | None = None
) -> Opened:
    """The journal of a folder; a damaged one is set aside, and what is legible in it taken over.

    `name_aside` gives the suffix of its new name. `damaged` is the inode of a journal that failed
    while it was in use, and its error. Raises OSError or sqlite3.OperationalError where no journal
    can be.
    """
    path = state_dir / FILE
    fresh = state_dir / f"{FILE}.new"
    # Of several that find it damaged only one may set it aside: the next one would take the new.
    opening = Claim.take(state_dir / "opening", within=_OPENING)
    if opening is None:
        raise TimeoutError("another process has been opening it for too long")
    try:
        reason: object = None
        if damaged is not None and inode(path) == damaged[0]:
            reason = damaged[1]
        else:
            if fresh.exists() and not path.exists():  # what is below was cut short
                fresh.rename(path)
            try:
                _check(path)
                return Opened(connect(path), inode(path))
            except DamagedError as error:
                reason = error
        # Before the damaged one goes, so that a full disk or a kill loses nothing of it.
        for suffix in _PARTS:
            fresh.with_name(fresh.name + suffix).unlink(missing_ok=True)
        with contextlib.closing(connect(fresh)) as db:
            found = rescue(path, db)
        aside = path.with_name(SET_ASIDE + name_aside())
        for suffix in _PARTS:
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
        fresh.rename(path)
        note = (
            f"the journal {path} was damaged ({reason}) and is set aside as {aside.name}: "
            f"{found.records} records could be read from it and are kept"
        )
        if found.lost:
            note += f", up to {found.lost} could not"
        return Opened(connect(path), inode(path), note)
    finally:
        opening.release()


def _check(path: Path) -> None:
    """Raise DamagedError for what SQLite takes for a new journal, or cannot even open."""
    if path.is_dir():
        raise DamagedError("it is a folder")
    size, log = (
        p.stat().st_size if p.exists() else 0 for p in (path, path.with_name(f"{path.name}-wal"))
    )
    # To SQLite both are a file that never was; the log of one it would throw away.
    if size < _SMALLEST and (size or log):
        raise DamagedError("it is cut short")


def inode(path: Path) -> int:
    """Which file that is, 0 for none."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0


@dataclass(slots=True)
class Copied:
    """How many records were read, and how many rows of them could not be."""

    records: int = 0
    lost: int = 0


def rescue(path: Path, into: sqlite3.Connection) -> Copied:
    """Copy what can be read of a damaged file."""
    try:
        if path.stat().st_size < _SMALLEST:
            path.write_bytes(bytes(4096))  # its log may hold every page, see `_check`
        old = sqlite3.connect(path, timeout=BUSY, isolation_level=None, factory=_Connection)
    except (sqlite3.Error, OSError):
        return Copied()
    with contextlib.closing(old):
        with contextlib.suppress(sqlite3.Error):
            # Or SQLite reads nothing of a file that is shorter than its header says.
            old.execute("pragma writable_schema = on")
        return copy(old, into)


def copy(
    old: sqlite3.Connection, new: sqlite3.Connection, only: Collection[int] | None = None
) -> Copied:
    """Copy rows one by one, since a damaged page must not take the others with it.

    `only` limits this to some runs. They keep their numbers, by which people know them.
    """
    copied = Copied()
    new.execute("begin immediate")
    for table, columns in _COPIED.items():
        names = ", ".join(columns)
        places = ", ".join("?" * len(columns))
        for row in _rows(old, table, names, only):
            if row is None or (table == "record" and legible(row[-1], row[1]) is None):
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


def legible(body: object, key: str) -> Record | None:
    """The record of this key that the journal has so; None if damage has made it none."""
    try:
        record = read_record(json.loads(body)) if isinstance(body, (bytes, str)) else None
    except ValueError:
        return None
    return record if record is not None and plain(record.key) == key else None


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
