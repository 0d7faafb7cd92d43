"""The journal's file: how it is opened, brought up to date, or replaced if it is damaged."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ...records.plural import counted
from . import folder
from .folder import FILE
from .lock import RunLock
from .salvage import ADDED_COLUMNS, COLUMNS_OF, SMALLEST_PAGE, Connection, salvage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SET_ASIDE: Final = f"{FILE}.damaged-"
"""The name of a damaged journal begins so; the time in UTC follows, as WHEN formats it."""
WHEN: Final = "%Y%m%dT%H%M%S"

_SUFFIXES: Final = ("", "-wal", "-shm")
"""Of the files that make up one SQLite database."""
VERSION: Final = 2
BUSY: Final = 3.0
"""Seconds to wait while another process writes. One transaction takes a tenth of a millisecond."""

_MAGIC: Final = b"SQLite format 3\0"
_HEAD: Final = 64
"""Bytes of a file up to the end of its `user_version` (sqlite.org/fileformat2.html)."""

_OPENING: Final = 10.0
"""Seconds to wait while another process opens the journal, and perhaps replaces it."""
_LOG_PAGES: Final = 4_000
"""At 16 MB of write-ahead log SQLite makes a checkpoint itself, if no worker did before."""
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
    """The file is not a journal, or no longer one."""


class NewerError(Exception):
    """A newer dbt-relay wrote the journal. This one must not change it."""


def connect(path: Path | None) -> sqlite3.Connection:
    """Open the journal, or create it; without a path it is in memory.

    A journal of an older version gets this version. Raises DamagedError, NewerError, or
    sqlite3.OperationalError if the file cannot be used now.

    A commit survives the death of any process, so commits do not wait for the disk. A host that
    loses power loses the last moment, never the whole journal.
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
            for table in COLUMNS_OF:
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
    """The journal's version; NewerError if it is newer than this dbt-relay."""
    return _known(*db.execute("pragma user_version").fetchone())


def _known(version: int) -> int:
    """The same version; NewerError if it is newer than this dbt-relay."""
    if version > VERSION:
        raise NewerError(
            f"a newer dbt-relay wrote it in version {version}; this dbt-relay reads up to {VERSION}"
        )
    return version


def _migrate(db: sqlite3.Connection) -> None:
    """Add the columns that an older version lacks. They are null in the runs that are there."""
    db.execute("begin immediate")
    try:
        # Another process may have added them since this process read the version.
        for version in range(_version(db) + 1, VERSION + 1):
            for column, kind in ADDED_COLUMNS[version].items():
                db.execute(f"alter table run add column {column} {kind}")
        db.execute(f"pragma user_version = {VERSION}")
        db.execute("commit")
    except BaseException:
        if db.in_transaction:
            db.execute("rollback")
        raise


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself is damaged. A full disk, a lock or a permission is no damage."""
    if isinstance(error, sqlite3.OperationalError):
        return str(error).startswith(("no such ", "table ", "malformed", "Could not decode "))
    return True


@dataclass(frozen=True, slots=True)
class Opened:
    """An open journal, the inode of its file, and a remark if it replaces a damaged one."""

    db: sqlite3.Connection
    inode: int
    remark: str | None = None


def open_file(
    state_dir: Path, timestamp: Callable[[], str], damaged: tuple[int, object] | None = None
) -> Opened:
    """Open the journal of a folder.

    A damaged journal is set aside, and a new one gets what can be read from it. `timestamp` gives
    the end of the damaged file's new name. `damaged` is the inode and the error of a journal that
    failed while it was in use.

    Raises NewerError for a journal of a newer dbt-relay and ForeignError for a file of another
    program, which both stay as they are; OSError or sqlite3.OperationalError if no journal can be
    opened.
    """
    path = state_dir / FILE
    fresh = state_dir / f"{FILE}.new"
    # Several processes may find the damage at once. Only one may set the file aside: a second one
    # would set aside the new journal.
    opening = RunLock.take(state_dir / folder.OPENING, within=_OPENING)
    if opening is None:
        raise TimeoutError("another process has been opening it for 10 seconds")
    try:
        refuse_newer(path)
        reason: object = None
        if damaged is not None and inode(path) == damaged[0]:
            reason = damaged[1]
        else:
            if fresh.exists() and not path.exists():  # a process died before its last rename
                fresh.rename(path)
            folder.refuse_foreign_content(path)
            try:
                _check(path)
                return Opened(connect(path), inode(path))
            except DamagedError as error:
                reason = error
        remark = _replace_damaged(path, fresh, reason, timestamp())
        return Opened(connect(path), inode(path), remark)
    finally:
        opening.release()


def _replace_damaged(path: Path, fresh: Path, reason: object, timestamp: str) -> str:
    """Set a damaged journal aside and put a new one in its place; the remark that says so.

    The new journal is complete before the damaged one is renamed: neither a full disk nor a kill
    loses anything.
    """
    for suffix in _SUFFIXES:
        fresh.with_name(fresh.name + suffix).unlink(missing_ok=True)
    with contextlib.closing(connect(fresh)) as db:
        found = salvage(path, db)
    aside = path.with_name(SET_ASIDE + timestamp)
    rename(path, aside)
    fresh.rename(path)
    remark = (
        f"the journal {path} was damaged ({reason}) and is set aside as {aside.name}: "
        f"saved {counted(found.records, 'record')} from it"
    )
    return f"{remark}, lost up to {found.lost:,}" if found.lost else remark


def rename(path: Path, to: Path) -> None:
    """Rename a database with its log."""
    for suffix in _SUFFIXES:
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(to.with_name(to.name + suffix))


def refuse_newer(path: Path) -> None:
    """Raise NewerError if a newer dbt-relay wrote the file.

    The head of the file tells. SQLite itself would change the file: it moves the log into the file
    when it closes it.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return
    if head.startswith(_MAGIC) and len(head) == _HEAD:
        _known(int.from_bytes(head[-4:], "big", signed=True))


def _check(path: Path) -> None:
    """Raise DamagedError for a file that SQLite would take for a new one, or cannot open."""
    if path.is_dir():
        raise DamagedError("it is a folder")
    size, log = (
        p.stat().st_size if p.exists() else 0 for p in (path, path.with_name(f"{path.name}-wal"))
    )
    # SQLite begins such a file anew, and throws its log away.
    if size < SMALLEST_PAGE and (size or log):
        raise DamagedError("it is cut short")


def inode(path: Path) -> int:
    """The inode of a file; 0 if there is no file."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0
