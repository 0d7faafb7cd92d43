"""What the journal knows of past runs, and how long it keeps them."""

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
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    from ...records.schema import Record
    from .journal import Journal

KEEP_RUNS: Final = 50
KEEP_DAYS: Final = 14.0


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run in the journal.

    `record` is its own record, None if it was killed before it had one; `has_owner` says that a
    living process is at work on it. `nodes` counts nodes by outcome; `delivery` counts them by
    state (`delivered`, `waiting`, `rejected`) for each sink. `is_waiting` looks at the run's own
    record too.
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
        """Whether nobody has said yet how it ended."""
        return not self.has_owner and (self.record is None or self.record.state == "running")

    def count(self, state: str) -> int:
        return sum(counts.get(state, 0) for counts in self.delivery.values())


def runs(journal: Journal, limit: int = -1) -> list[PastRun]:
    """The latest runs, the newest first."""
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


def records(journal: Journal, number: int) -> dict[str, Record]:
    """The newest record of each key of a run, in the order in which the keys came."""
    rows = journal.database.rows(
        "select key, body from record where run = ? order by id", (number,)
    )
    found = ((key, read_body(body, key)) for key, body in rows)
    return {key: record for key, record in found if record is not None}


def reasons(journal: Journal, number: int) -> list[tuple[str, str, str, str]]:
    """What a run's sinks have not: sink, state, key and reason."""
    return [
        (sink, state, key, reason or NOT_SENT)
        for sink, state, key, reason in journal.database.rows(
            "select sink, state, key, reason from delivery where run = ? and state != 'delivered'"
            " order by sink, state, id",
            (number,),
        )
    ]


def attempts(journal: Journal, info: RunInfo) -> list[tuple[int, RunInfo]]:
    """The number and the description of each run under the ids of this one's task instance, in the
    order in which they began.

    The ids may be those of another Airflow's task, of a DAG run that was deleted, or of another
    instance of a mapped task. Nodes that were run again for a task that had ended are no attempt.
    """
    task = info.task
    if task is None:
        return []
    rows = journal.database.rows(
        "select id from run where dag_id = ? and run_id = ? and task_id = ? and map_index = ?"
        " and attempt is not null and not coalesce(renews, 0) order by id",
        (task.dag_id, task.run_id, task.task_id, task.map_index),
    )
    found: list[tuple[int, RunInfo]] = []
    for (number,) in rows:
        with contextlib.suppress(LookupError):  # pruned meanwhile, or damaged
            found.append((number, JournalRun.find(journal.database, number).info))
    return found


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many runs were deleted, and how many records of them still waited for a sink."""

    runs: int = 0
    undelivered: int = 0


def prune(journal: Journal, now: datetime, keep_runs: int, keep_days: float) -> Pruned:
    """Delete what is too old or too much. A run that somebody is at work on is kept.

    A run with records that still wait goes by its age alone: to make room is no reason to lose one.
    So do damaged journals that were set aside.
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
    for place, (number, is_old, is_waiting) in enumerate(rows):
        if not is_old and (is_waiting or place < keep_runs):
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
    """Bytes of the journal on disk, what was set aside included."""
    total = 0
    for path in state_dir.glob("journal.db*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total
