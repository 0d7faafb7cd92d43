"""Fills the ledger: each run of the journal that is over gets its rows, and old runs go.

Nothing is written while a run goes on. A relay that was killed, or told to stop, leaves this to the
next relay and to `dbt-relay stats`: both write all runs that the ledger lacks. Only the newest
record of a node is in the journal by then, so the ledger needs no amendments.
"""

from __future__ import annotations

import itertools
import shlex
from typing import TYPE_CHECKING, Any, Final

from ...records.instant import instant
from ..journal import history
from ..journal.salvage import stored_text
from .rows import row_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

    from ..journal.history import PastRun
    from ..journal.journal import Journal
    from .file import Ledger

_DAY: Final = 86_400.0
_REPLAY: Final = ("replay",)
"""How the command of a run begins that read a saved log."""
_AT_A_TIME: Final = 500
"""Values of a query. A SQLite before 3.32 takes no more than 999."""
_STAGED: Final = """
create temp table if not exists staged (
    node, outcome, status, started_at, took_ms, failures, rows_affected, bytes_processed,
    bytes_billed, slot_ms, query_id, thread, checksum, invocation_started_at
)
"""
_NAMELESS: Final = "nameless-"
"""A run whose row the journal lost to damage: nobody knows its project any more."""


def catch_up(journal: Journal, ledger: Ledger) -> int:
    """Write each run that is over and that the ledger lacks; how many there were."""
    written = 0
    for number, token in journal.database.rows("select id, token from run order by id"):
        if str(token).startswith(_NAMELESS) or _has(ledger, token):
            continue
        try:
            run = history.past_run(journal, number)
        except LookupError:  # pruned meanwhile, or damaged
            continue
        if run.state != "running":
            written += _write(journal, ledger, token, run)
    return written


def forget(ledger: Ledger, now: float, keep_days: float) -> int:
    """Delete the runs that began more than `keep_days` before `now`; how many there were.

    They go once a day, so that not every run pays for it.
    """
    oldest = ledger.db.execute("select min(started_at) from run").fetchone()[0]
    last = now - keep_days * _DAY
    if oldest is None or oldest >= last - min(1.0, keep_days) * _DAY:
        return 0
    db = ledger.db
    with _Transaction(db):
        db.execute(
            "delete from result where run in (select id from run where started_at < ?)", (last,)
        )
        deleted = db.execute("delete from run where started_at < ?", (last,)).rowcount
        db.execute("delete from node where id not in (select node from result)")
        db.execute(
            "delete from word where id not in (select status from result union"
            " select thread from result where thread is not null union"
            " select checksum from result where checksum is not null)"
        )
    db.executescript("pragma incremental_vacuum")
    return deleted


class _Transaction:
    """The block commits as a whole, or leaves nothing."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("begin immediate")

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._db.execute("commit")
        elif self._db.in_transaction:
            self._db.execute("rollback")


def _has(ledger: Ledger, token: str) -> bool:
    found = ledger.db.execute("select 1 from run where token = ?", (token,)).fetchone()
    return found is not None


def _write(journal: Journal, ledger: Ledger, token: str, run: PastRun) -> bool:
    """Write a run and its rows; False if another process has done so meanwhile."""
    db = ledger.db
    with _Transaction(db):
        if _has(ledger, token):
            return False
        bodies = () if _is_repeated(db, run) else history.each_body(journal, run.number)
        _stage(db, bodies)
        values = _run_values(db, token, run)
        names = ", ".join(values)
        places = ", ".join("?" * len(values))
        done = db.execute(
            f"insert into run ({names}) values ({places})",  # noqa: S608
            (*values.values(),),
        )
        db.execute(
            "insert into result select ?, node, outcome, status,"
            " cast(round((started_at - ?) * 1000) as integer), took_ms, failures, rows_affected,"
            " bytes_processed, bytes_billed, slot_ms, query_id, thread, checksum"
            " from staged order by node",
            (done.lastrowid, values["started_at"]),
        )
    return True


def _stage(db: sqlite3.Connection, bodies: Iterable[tuple[str, bytes]]) -> None:
    """Put the rows of a run, with numbers for their names, into the table `staged`.

    A few are in memory at a time. The table puts them in order, so that they need little room on
    disk, and knows when the first of them began.
    """
    db.execute(_STAGED)
    db.execute("delete from staged")
    left = iter(bodies)
    while some := [*itertools.islice(left, _AT_A_TIME)]:
        rows = [row for key, body in some if (row := row_of(key, body)) is not None]
        nodes = _numbers(db, "node", "unique_id", (row.unique_id for row in rows))
        said = (word for row in rows for word in (row.status, row.thread, row.checksum))
        words = _numbers(db, "word", "text", (word for word in said if word is not None))
        db.executemany(
            f"insert into staged values ({', '.join('?' * 14)})",  # noqa: S608
            (
                (
                    nodes[row.unique_id],
                    row.outcome,
                    words[row.status],
                    *row[3:11],
                    words[row.thread] if row.thread is not None else None,
                    words[row.checksum] if row.checksum is not None else None,
                    row.invocation_started_at,
                )
                for row in rows
            ),
        )


def _numbers(
    db: sqlite3.Connection, table: str, column: str, names: Iterable[str]
) -> dict[str, int]:
    """The number of each name, in a table that gets each name once."""
    once = dict.fromkeys(names)
    db.executemany(
        f"insert into {table} ({column}) values (?) on conflict do nothing",  # noqa: S608
        ((name,) for name in once),
    )
    found: dict[str, int] = {}
    left = iter(once)
    while some := [*itertools.islice(left, _AT_A_TIME)]:
        places = ", ".join("?" * len(some))
        query = f"select {column}, id from {table} where {column} in ({places})"  # noqa: S608
        found.update(db.execute(query, some))
    return found


def _is_repeated(db: sqlite3.Connection, run: PastRun) -> bool:
    """Whether the run replayed the saved log of a dbt that the ledger has already."""
    invocation = run.record.invocation_id if run.record is not None else None
    if invocation is None or run.info.command[:1] != _REPLAY:
        return False
    query = "select 1 from run where invocation_id = ?"
    return db.execute(query, (invocation,)).fetchone() is not None


def _run_values(db: sqlite3.Connection, token: str, run: PastRun) -> Mapping[str, Any]:
    """The row of a run by column."""
    info, record, task = run.info, run.record, run.info.task
    started_at = instant(info.started_at) or 0.0
    finished_at = instant(record.finished_at) if record is not None else None
    if info.command[:1] == _REPLAY:
        started_at, finished_at = _times_of_log(db) or (started_at, finished_at)
    return {
        "token": token,
        "number": run.number,
        "project": stored_text(info.project) if info.project else None,
        "command": stored_text(shlex.join(info.command)),
        "state": run.state,
        "exit_code": record.exit_code if record is not None else None,
        "started_at": started_at,
        "finished_at": finished_at,
        "target_dir": info.target_dir,
        "dag_id": task.dag_id if task is not None else None,
        "dag_run_id": task.run_id if task is not None else None,
        "task_id": task.task_id if task is not None else None,
        "map_index": task.map_index if task is not None else None,
        "attempt": info.attempt,
        "invocation_id": record.invocation_id if record is not None else None,
        "dbt_version": record.dbt_version if record is not None else None,
        "adapter": record.adapter if record is not None else None,
        "nodes": db.execute("select count(*) from staged").fetchone()[0],
    }


def _times_of_log(db: sqlite3.Connection) -> tuple[float, float] | None:
    """When the dbt of a saved log began, and when its last node ended; None if no time is known.

    The log is older than its replay.
    """
    begun, first, ended = db.execute(
        "select min(invocation_started_at), min(started_at),"
        " max(started_at + coalesce(took_ms, 0) / 1000.0) from staged"
    ).fetchone()
    return None if ended is None else (min(first, begun or first), ended)
