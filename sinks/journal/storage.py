"""The journal's file: how it is opened, and what becomes of one that is damaged."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ...records.counts import counted
from . import folder
from .folder import FILE
from .lock import RunLock
from .salvage import ADDED, COPIED, SMALLEST, Connection, salvage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SET_ASIDE: Final = f"{FILE}.damaged-"
WHEN: Final = "%Y%m%dT%H%M%S"
"""Follows in its name: the time in UTC."""

_PARTS: Final = ("", "-wal", "-shm")
VERSION: Final = 2
BUSY: Final = 3.0
"""Seconds to wait for another process that is writing; a transaction takes a tenth of a
millisecond."""

_MAGIC: Final = b"SQLite format 3\0"
_HEAD: Final = 64
"""Bytes of a file up to the end of its `user_version` (sqlite.org/fileformat2.html)."""

_OPENING: Final = 10.0
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
    started_at text not null,
    airflow_url text,
    project_dir text,
    environment text,
    renews integer
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


class DamagedError(Exception):
    """The file is no journal."""


class NewerError(Exception):
    """A newer dbt-relay has written the journal; this one must not touch it."""


def connect(path: Path | None) -> sqlite3.Connection:
    """A journal, new if there is none; in memory without a path.

    One of an older version becomes one of this version. Raises DamagedError, NewerError, or
    sqlite3.OperationalError where the file cannot be used now. A commit survives the death of every
    process, hence no fsync at each: what a host without power loses is the last moment, never the
    whole.
    """
    if path is not None and not path.exists():
        folder.create(path)
    db = sqlite3.connect(
        path or ":memory:",
        timeout=BUSY,
        isolation_level=None,
        check_same_thread=False,
        factory=Connection,
    )
    try:
        version = _version(db)
        db.execute("pragma synchronous = normal")
        db.execute(f"pragma wal_autocheckpoint = {_LOG_PAGES}")
        if version == 0 and not db.execute("select count(*) from sqlite_master").fetchone()[0]:
            db.execute("pragma auto_vacuum = incremental")
            db.execute("pragma journal_mode = wal")
            db.executescript(f"begin immediate;{_SCHEMA}pragma user_version = {VERSION};commit")
        else:
            if version < 1:
                raise DamagedError(f"its version is {version}, not {VERSION}")
            db.execute("pragma journal_mode = wal")
            for table in COPIED:
                db.execute(f"select id from {table} limit 1").fetchone()  # noqa: S608
            if version < VERSION:
                _migrate(db)
    except sqlite3.Error as error:
        db.close()
        if is_damage(error):
            raise DamagedError(str(error)) from error
        raise
    except (DamagedError, NewerError):
        db.close()
        raise
    return db


def _version(db: sqlite3.Connection) -> int:
    """Its version; NewerError if this dbt-relay does not know that one."""
    return _known(*db.execute("pragma user_version").fetchone())


def _known(version: int) -> int:
    if version > VERSION:
        raise NewerError(
            f"a newer dbt-relay has written it, in version {version}; this one knows {VERSION}"
        )
    return version


def _migrate(db: sqlite3.Connection) -> None:
    """Add the columns that an older version lacks. Of its runs they say nothing."""
    db.execute("begin immediate")
    try:
        # Another process may have done it since this one looked.
        for version in range(_version(db) + 1, VERSION + 1):
            for column, kind in ADDED[version].items():
                db.execute(f"alter table run add column {column} {kind}")
        db.execute(f"pragma user_version = {VERSION}")
        db.execute("commit")
    except BaseException:
        if db.in_transaction:
            db.execute("rollback")
        raise


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
    remark: str | None = None


def open_file(
    state_dir: Path, name_aside: Callable[[], str], damaged: tuple[int, object] | None = None
) -> Opened:
    """The journal of a folder; a damaged one is set aside, and what is legible in it taken over.

    `name_aside` gives the suffix of its new name. `damaged` is the inode of a journal that failed
    while it was in use, and its error. Raises NewerError for one of a newer dbt-relay, which stays
    as it is, ForeignError where something else has its place, and OSError or
    sqlite3.OperationalError where no journal can be.
    """
    path = state_dir / FILE
    fresh = state_dir / f"{FILE}.new"
    # Of several that find it damaged only one may set it aside: the next one would take the new.
    opening = RunLock.take(state_dir / "opening", within=_OPENING)
    if opening is None:
        raise TimeoutError("another process has been opening it for too long")
    try:
        refuse_newer(path)
        reason: object = None
        if damaged is not None and inode(path) == damaged[0]:
            reason = damaged[1]
        else:
            if fresh.exists() and not path.exists():  # what is below was cut short
                fresh.rename(path)
            folder.refuse_foreign_content(path)
            try:
                _check(path)
                return Opened(connect(path), inode(path))
            except DamagedError as error:
                reason = error
        # Before the damaged one goes, so that a full disk or a kill loses nothing of it.
        for suffix in _PARTS:
            fresh.with_name(fresh.name + suffix).unlink(missing_ok=True)
        with contextlib.closing(connect(fresh)) as db:
            found = salvage(path, db)
        aside = path.with_name(SET_ASIDE + name_aside())
        for suffix in _PARTS:
            with contextlib.suppress(FileNotFoundError):
                path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
        fresh.rename(path)
        remark = (
            f"the journal {path} was damaged ({reason}) and is set aside as {aside.name}: saved "
            f"{counted(found.records, 'record')}"
        )
        if found.lost:
            remark += f", lost at most {found.lost:,}"
        return Opened(connect(path), inode(path), remark)
    finally:
        opening.release()


def refuse_newer(path: Path) -> None:
    """Raise NewerError by the file's head: SQLite would bring its log into it on closing."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return
    if head.startswith(_MAGIC) and len(head) == _HEAD:
        _known(int.from_bytes(head[-4:], "big", signed=True))


def _check(path: Path) -> None:
    """Raise DamagedError for what SQLite takes for a new journal, or cannot even open."""
    if path.is_dir():
        raise DamagedError("it is a folder")
    size, log = (
        p.stat().st_size if p.exists() else 0 for p in (path, path.with_name(f"{path.name}-wal"))
    )
    # To SQLite both are a file that never was; the log of one it would throw away.
    if size < SMALLEST and (size or log):
        raise DamagedError("it is cut short")


def inode(path: Path) -> int:
    """Which file that is, 0 for none."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0
