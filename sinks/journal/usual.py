"""How long the nodes of a project usually take, from its earlier runs in the journal."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Final

from ...records.schema import NodeRecord, RunRecord
from . import history
from .run import JournalRun
from .salvage import read_body

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ...records.schema import Record
    from .journal import Journal
    from .rows import RunInfo

_LOOK_AT: Final = 5
"""Earlier runs."""


@dataclass(frozen=True, slots=True)
class Usual:
    """What earlier runs of a project let expect.

    `seconds` has the median time of each node that succeeded in them. `expected` are the nodes of
    the latest whole run of the same command, `announced` is how many of them dbt announced; they
    are empty and None if there is no such run.
    """

    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    expected: frozenset[str] = frozenset()
    announced: int | None = None


def usual(journal: Journal, info: RunInfo) -> Usual:
    """What the runs of the same project before `info` let expect of it."""
    times: dict[str, list[float]] = {}
    expected: frozenset[str] = frozenset()
    announced: int | None = None
    for number, earlier in _runs_before(journal, info):
        found = history.records(journal, number)
        for name, seconds in _seconds(found.values()):
            times.setdefault(name, []).append(seconds)
        run = found.get(RunRecord.key)
        if expected or earlier.command != info.command or earlier.renews:
            continue
        if isinstance(run, RunRecord) and run.state == "finished" and not run.missing:
            expected = frozenset(found.keys() - {run.key})
            announced = run.announced
    return Usual({name: median(found) for name, found in times.items()}, expected, announced)


def usual_seconds(journal: Journal, info: RunInfo, names: Sequence[str]) -> dict[str, float]:
    """The usual seconds of a few nodes of the project before `info`."""
    times: dict[str, list[float]] = {}
    marks = ", ".join("?" * len(names))
    for number, _ in _runs_before(journal, info):
        rows = journal.database.rows(
            f"select key, body from record where run = ? and key in ({marks})",  # noqa: S608
            (number, *names),
        )
        for name, seconds in _seconds(read_body(body, key) for key, body in rows):
            times.setdefault(name, []).append(seconds)
    return {name: median(found) for name, found in times.items()}


def _runs_before(journal: Journal, info: RunInfo) -> list[tuple[int, RunInfo]]:
    """The latest runs of the same project that began before this one, newest first."""
    rows = journal.database.rows(
        "select id from run where project_dir = ? and started_at < ? order by id desc limit ?",
        (info.project_dir, info.started_at, _LOOK_AT),
    )
    found: list[tuple[int, RunInfo]] = []
    for (number,) in rows:
        with contextlib.suppress(LookupError):  # pruned meanwhile, or damaged
            found.append((number, JournalRun.find(journal.database, number).info))
    return found


def _seconds(records: Iterable[Record | None]) -> Iterator[tuple[str, float]]:
    """The times of nodes that the run itself ran to a good end."""
    for record in records:
        if (
            isinstance(record, NodeRecord)
            and record.has_succeeded
            and record.execution_time is not None
            and record.resumed_from is None
        ):
            yield record.unique_id, record.execution_time
