"""The ledger's SQLite file, beside the journal's.

It is a file of its own: its damage costs no record, a commit to the journal does not wait for it,
and an older dbt-relay goes on using the journal. The file's name begins as the journal's, so that
an older dbt-relay also takes the file for its own when it looks at the folder.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Final

from ..journal import folder
from ..journal.database import timestamp
from ..journal.lock import RunLock
from ..journal.salvage import Connection
from ..journal.storage import SET_ASIDE, is_damage, rename

FILE: Final = f"{folder.FILE}.ledger"
VERSION: Final = 1
_BUSY: Final = 3.0
"""Seconds to wait while another process writes. A run of 500 nodes takes a hundredth of one."""
_OPENING: Final = 3.0
"""Seconds to wait while another process opens the journal or the ledger."""
_SCHEMA: Final = """
create table word (id integer primary key, text text not null unique);
create table node (id integer primary key, unique_id text not null unique);
create table run (
    id integer primary key,
    token text not null unique,
    number integer not null,
    project text,
    command text not null,
    state text not null,
    exit_code integer,
    started_at real not null,
    finished_at real,
    target_dir text,
    dag_id text,
    dag_run_id text,
    task_id text,
    map_index integer,
    attempt integer,
    invocation_id text,
    dbt_version text,
    adapter text,
    nodes integer not null
);
create index of_project on run (project, started_at);
create table result (
    run integer not null,
    node integer not null,
    outcome integer not null,
    status integer not null,
    started_ms integer,
    took_ms integer,
    failures integer,
    rows_affected integer,
    bytes_processed integer,
    bytes_billed integer,
    slot_ms integer,
    query_id,
    thread integer,
    checksum integer,
    primary key (run, node)
) without rowid;
"""
"""`status`, `thread` and `checksum` are words; `outcome` is a place in OUTCOMES. `started_ms` is
counted from the start of the run."""


class LedgerError(Exception):
    """The ledger cannot be used now. The message says why."""


class Ledger:
    """The open ledger of a state folder, for one thread. Use it as a context manager.

    `remark` is what a person should know of its opening: that it replaces a damaged one.
    """

    def __init__(self, db: sqlite3.Connection, path: Path, remark: str | None = None) -> None:
        self.db = db
        self.path = path
        self.remark = remark

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(sqlite3.Error):
            self.db.close()


def open_ledger(state_dir: Path) -> Ledger:
    """Open the ledger, or create it. A damaged one is set aside, and a new one begins.

    Raises LedgerError, also for a ledger of a newer dbt-relay, which stays as it is.
    """
    path = state_dir / FILE
    try:
        opening = RunLock.take(state_dir / folder.OPENING, within=_OPENING)
        if opening is None:
            raise LedgerError(f"another process has been opening it for {_OPENING:g} seconds")
        try:
            folder.refuse_foreign_file(path)
            try:
                return Ledger(_connect(path), path)
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise
                remark = _set_aside(path, error)
                return Ledger(_connect(path), path, remark)
        finally:
            opening.release()
    except (sqlite3.Error, OSError, folder.ForeignError) as error:
        raise LedgerError(str(error)) from error


def empty_ledger() -> Ledger:
    """A ledger in memory, for a state folder that has none."""
    db = sqlite3.connect(":memory:", isolation_level=None, factory=Connection)
    db.executescript(_SCHEMA)
    return Ledger(db, Path(":memory:"))


def set_aside(ledger: Ledger, error: sqlite3.Error) -> str:
    """Close a ledger that turned out to be damaged, and rename it; a sentence that says so."""
    ledger.db.close()
    return _set_aside(ledger.path, error)


def _connect(path: Path) -> sqlite3.Connection:
    if not path.exists():
        folder.create(path)
    db = sqlite3.connect(path, timeout=_BUSY, isolation_level=None, factory=Connection)
    try:
        (version,) = db.execute("pragma user_version").fetchone()
        if version > VERSION:
            raise LedgerError(
                f"a newer dbt-relay wrote it in version {version}; this dbt-relay reads up to "
                f"{VERSION}"
            )
        db.execute("pragma synchronous = normal")
        if not version:
            if db.execute("select count(*) from sqlite_master").fetchone()[0]:
                raise sqlite3.DatabaseError("it has tables, but no version")
            db.execute("pragma auto_vacuum = incremental")
            db.execute("pragma journal_mode = wal")
            db.executescript(f"begin immediate;{_SCHEMA}pragma user_version = {VERSION};commit")
        for table in ("run", "node", "word", "result"):
            db.execute(f"select * from {table} limit 1").fetchone()  # noqa: S608
    except BaseException:
        db.close()
        raise
    return db


def _set_aside(path: Path, error: sqlite3.Error) -> str:
    # The name is one that `history.prune` deletes when it is old.
    aside = path.with_name(f"{SET_ASIDE}{timestamp()}-ledger")
    rename(path, aside)
    return (
        f"the ledger {path} was damaged ({error}) and is set aside as {aside.name}: statistics "
        "begin anew with the runs of the journal"
    )
