"""The past runs in the journal: what it knows of them, and how long it keeps them."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from ...records.schema import RunRecord
from .rows import NOT_SENT, RunInfo
from .run import JournalRun
from .salvage import read_body
from .storage import SET_ASIDE, WHEN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from ...records.schema import Record
    from .journal import Journal
    from .running import RunningNodes

KEEP_RUNS: Final = 50
KEEP_DAYS: Final = 14.0
_AT_A_TIME: Final = 500


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run in the journal, as it is now.

    `record` is the run record; None if the relay was killed before it wrote one. `has_owner` says
    that a living process works on the run. `nodes` counts nodes by outcome. `delivery` counts nodes
    by state (`delivered`, `waiting`, `rejected`) for each sink. `is_waiting` says that some record
    waits, be it a node's or the run record. `bytes` is the size of all its records.
    """

    number: int
    info: RunInfo
    record: RunRecord | None
    has_owner: bool
    nodes: Mapping[str, int]
    delivery: Mapping[str, Mapping[str, int]]
    is_waiting: bool
    bytes: int

    @property
    def state(self) -> str:
        """`running`, `finished` or `died`."""
        if self.record is not None and self.record.state != "running":
            return self.record.state
        return "running" if self.has_owner else "died"

    @property
    def died_unnoticed(self) -> bool:
        """Whether the relay was killed and no record says so yet."""
        return not self.has_owner and (self.record is None or self.record.state == "running")

    def count(self, state: str) -> int:
        """The nodes in this state, added up over all sinks."""
        return sum(counts.get(state, 0) for counts in self.delivery.values())


def runs(journal: Journal, limit: int = -1) -> list[PastRun]:
    """The latest runs, newest first; all of them if `limit` is -1."""
    found: list[PastRun] = []
    for (number,) in journal.database.rows("select id from run order by id desc limit ?", (limit,)):
        with contextlib.suppress(LookupError):  # pruned meanwhile, or damaged
            found.append(past_run(journal, number))
    return found


def past_run(journal: Journal, number: int) -> PastRun:
    """LookupError if there is no such run."""
    run = JournalRun.find(journal.database, number)
    own = journal.database.rows(
        "select body from record where run = ? and key = ?", (number, RunRecord.key)
    )
    record = read_body(own[0][0], RunRecord.key) if own else None
    delivery: dict[str, Counter[str]] = {sink: Counter() for sink in run.info.sinks}
    is_waiting = False
    for sink, state, nodes_only, count in journal.database.rows(
        "select sink, state, key != ?, count(*) from delivery where run = ? group by 1, 2, 3",
        (RunRecord.key, number),
    ):
        is_waiting |= state == "waiting"
        if nodes_only and sink in delivery:
            delivery[sink][state] = count
    (size,) = journal.database.rows(
        "select coalesce(sum(length(body)), 0) from record where run = ?", (number,)
    )[0]
    return PastRun(
        number,
        run.info,
        record if isinstance(record, RunRecord) else None,
        run.has_owner,
        run.outcomes(),
        delivery,
        is_waiting,
        size,
    )


def running_nodes(journal: Journal, number: int) -> RunningNodes | None:
    """The nodes that run now in the process of a run; LookupError if there is no such run."""
    return JournalRun.find(journal.database, number).running_nodes


def each_record(journal: Journal, number: int) -> Iterator[tuple[str, Record]]:
    """Key and newest record of each key of a run, in the order in which the keys were first put.

    A large run does not fit into little memory, so the records are read a few at a time.
    """
    for key, body in each_body(journal, number):
        record = read_body(body, key)
        if record is not None:
            yield key, record


def each_body(journal: Journal, number: int) -> Iterator[tuple[str, bytes]]:
    """Key and stored body of each record of a run, a few at a time."""
    rows = journal.database.rows("select id from record where run = ? order by id", (number,))
    for at in range(0, len(rows), _AT_A_TIME):
        some = rows[at : at + _AT_A_TIME]
        # The plus sign keeps SQLite from looking for the run in its index once more.
        yield from journal.database.rows(
            "select key, body from record where id between ? and ? and +run = ? order by id",
            (*some[0], *some[-1], number),
        )


def records(journal: Journal, number: int) -> dict[str, Record]:
    """All that `each_record` gives, by key."""
    return dict(each_record(journal, number))


def records_after(journal: Journal, number: int, seen: int) -> Iterator[tuple[int, Record]]:
    """The records of a run whose keys were put after a row, each with the number of its row."""
    rows = journal.database.rows(
        "select id, key, body from record where run = ? and id > ? order by id", (number, seen)
    )
    for row, key, body in rows:
        if (record := read_body(body, key)) is not None:
            yield row, record


def reasons(journal: Journal, number: int) -> list[tuple[str, str, str, str]]:
    """Sink, state, key and reason of each record of a run that a sink does not have."""
    return [
        (sink, state, key, reason or NOT_SENT)
        for sink, state, key, reason in journal.database.rows(
            "select sink, state, key, reason from delivery where run = ? and state != 'delivered'"
            " order by sink, state, id",
            (number,),
        )
    ]


def attempts(journal: Journal, info: RunInfo) -> list[tuple[int, RunInfo]]:
    """Each run with the same task instance as `info`: its number and its RunInfo, oldest first.

    Equal ids do not prove that it is the same task: another Airflow may have the same ids, a DAG
    run may have been deleted and made again, and a mapped task may not say its index. A run that
    only repeats nodes for a task that had ended is not an attempt.
    """
    task = info.task
    if task is None:
        return []
    rows = journal.database.rows(
        "select id from run where dag_id = ? and run_id = ? and task_id = ? and map_index = ?"
        " and attempt is not null and not coalesce(renews, 0) order by id",
        (task.dag_id, task.run_id, task.task_id, task.map_index),
    )
    return [*_infos(journal, rows)]


def earlier(journal: Journal, number: int) -> Iterator[tuple[int, RunInfo]]:
    """Each run before this one: its number and its RunInfo, newest first."""
    rows = journal.database.rows("select id from run where id < ? order by id desc", (number,))
    return _infos(journal, rows)


def _infos(journal: Journal, rows: Iterable[tuple[int]]) -> Iterator[tuple[int, RunInfo]]:
    for (number,) in rows:
        with contextlib.suppress(LookupError):  # pruned meanwhile, or damaged
            yield number, JournalRun.find(journal.database, number).info


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many runs were deleted, and how many of their records still waited for a sink."""

    runs: int = 0
    undelivered: int = 0


def prune(journal: Journal, now: datetime, keep_runs: int, keep_days: float) -> Pruned:
    """Delete runs older than `keep_days`, and all but the latest `keep_runs`.

    A run with an owner stays. A run with waiting records is deleted for its age only, never to make
    room. Damaged journals that were set aside are deleted for their age, too.
    """
    if journal.file is None:
        return Pruned()
    oldest = now - timedelta(days=keep_days)
    for path in journal.file.parent.glob(f"{SET_ASIDE}*"):
        if path.name < f"{SET_ASIDE}{oldest:{WHEN}}" and path.is_file():
            with contextlib.suppress(OSError):
                path.unlink()
    rows = journal.database.rows(
        "select id, started_at < ?, exists (select 1 from delivery"
        " where delivery.run = run.id and state = 'waiting') from run order by id desc",
        (oldest.isoformat(),),
    )
    deleted = undelivered = 0
    for rank, (number, is_old, is_waiting) in enumerate(rows):
        if not is_old and (is_waiting or rank < keep_runs):
            continue
        try:
            run = journal.adopt(number)
        except (LookupError, OSError):
            continue
        if run is None:
            continue
        (lost,) = journal.database.rows(
            "select count(distinct key) from delivery where run = ? and state = 'waiting'",
            (number,),
        )[0]
        run.delete()
        run.close()
        deleted += 1
        undelivered += lost
    if deleted:
        journal.database.shrink()
    return Pruned(deleted, undelivered)


def size(state_dir: Path) -> int:
    """Bytes of the journal on disk, including damaged journals that were set aside."""
    total = 0
    for path in state_dir.glob("journal.db*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total
