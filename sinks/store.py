"""The journal's file: how it is opened, and what becomes of one that is damaged."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from .claim import Claim

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

FILE: Final = "journal.db"
VERSION: Final = 1
BUSY: Final = 3.0
"""Seconds to wait for another process that is writing; a transaction takes a tenth of a
millisecond."""

_OPENING: Final = 10.0
_MOST_ROWS: Final = 500_000
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
        "token", "command", "cwd", "target_dir", "dag_id", "run_id", "task_id", "map_index",
        "attempt", "started_at",
    ),
    "sink": ("run", "name", "address"),
    "record": ("run", "key", "version", "outcome", "body"),
    "delivery": ("run", "sink", "key", "state", "reason"),
}  # fmt: skip


class DamagedError(Exception):
    """The file is no journal of this version."""


def connect(path: Path | None) -> sqlite3.Connection:
    """A journal, new if there is none; in memory without a path.

    Raises DamagedError, or sqlite3.OperationalError where the file cannot be used now. A commit
    survives the death of every process, hence no fsync at each: what a host without power loses is
    the last moment, never the whole.
    """
    db = sqlite3.connect(
        path or ":memory:", timeout=BUSY, isolation_level=None, check_same_thread=False
    )
    try:
        db.execute("pragma synchronous = normal")
        (version,) = db.execute("pragma user_version").fetchone()
        if version == 0 and not db.execute("select count(*) from sqlite_master").fetchone()[0]:
            db.execute("pragma auto_vacuum = incremental")
            db.execute("pragma journal_mode = wal")
            db.executescript(f"begin immediate;{_SCHEMA}pragma user_version = {VERSION};commit")
        elif version != VERSION:
            raise DamagedError(f"its version is {version}, not {VERSION}")
        else:
            db.execute("pragma journal_mode = wal")
            db.execute("select token from run limit 1").fetchone()
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
        return str(error).startswith(("no such ", "table ", "malformed"))
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
    # Of several that find it damaged only one may set it aside: the next one would take the new.
    opening = Claim.take(state_dir / "opening", within=_OPENING)
    if opening is None:
        raise TimeoutError("another process has been opening it for too long")
    try:
        reason: object = None
        if damaged is not None and _inode(path) == damaged[0]:
            reason = damaged[1]
        else:
            try:
                return Opened(connect(path), _inode(path))
            except DamagedError as error:
                reason = error
        aside = path.with_name(f"{FILE}.damaged-{name_aside()}")
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
        db = connect(path)
        found = rescue(aside, db)
        note = (
            f"the journal {path} was damaged ({reason}) and is set aside as {aside.name}: "
            f"{found.records} records could be read from it and are kept"
        )
        if found.lost:
            note += f", up to {found.lost} could not"
        return Opened(db, _inode(path), note)
    finally:
        opening.release()


def _inode(path: Path) -> int:
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
        old = sqlite3.connect(path, timeout=BUSY, isolation_level=None)
    except sqlite3.Error:
        return Copied()
    with contextlib.closing(old):
        return copy(old, into)


def copy(old: sqlite3.Connection, new: sqlite3.Connection, only: Collection[int] = ()) -> Copied:
    """Copy rows one by one, since a damaged page must not take the others with it.

    `only` limits this to some runs.
    """
    copied = Copied()
    new_ids: dict[int, int] = {}
    new.execute("begin immediate")
    for table, columns in _COPIED.items():
        names = ", ".join(columns)
        places = ", ".join("?" * len(columns))
        for row in _rows(old, table, names):
            if row is None:
                copied.lost += table == "record"
                continue
            old_id, values = row[0], list(row[1:])
            run = old_id if table == "run" else values[0]
            if only and run not in only:
                continue
            if table != "run":
                if run not in new_ids:
                    continue
                values[0] = new_ids[run]
            done = new.execute(
                f"insert or ignore into {table} ({names}) values ({places})",  # noqa: S608
                values,
            )
            if table == "run":
                new_ids[old_id] = done.lastrowid or 0
            copied.records += table == "record"
    new.execute("commit")
    return copied


def _rows(db: sqlite3.Connection, table: str, names: str) -> Iterator[tuple[Any, ...] | None]:
    """Each row that is there, None for one that cannot be read."""
    first = last = 0
    with contextlib.suppress(sqlite3.Error):
        first = db.execute(f"select min(id) from {table}").fetchone()[0] or 0  # noqa: S608
    for query in (
        f"select seq from sqlite_sequence where name = '{table}'",  # noqa: S608
        f"select max(id) from {table}",  # noqa: S608
    ):
        with contextlib.suppress(sqlite3.Error):
            last = max(last, (db.execute(query).fetchone() or (0,))[0] or 0)
    for number in range(max(first, last - _MOST_ROWS), last + 1):
        try:
            row = db.execute(
                f"select id, {names} from {table} where id = ?",  # noqa: S608
                (number,),
            ).fetchone()
        except sqlite3.Error:
            yield None
        else:
            if row is not None:
                yield row
