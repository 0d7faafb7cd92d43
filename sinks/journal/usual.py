"""How long the nodes of a project usually take, from its earlier runs in the journal."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson

from ...records.outcomes import SUCCESSFUL
from ...records.schema import RunRecord
from ...records.values import finite_number, is_object
from .run import JournalRun
from .salvage import read_body

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .journal import Journal
    from .rows import RunInfo

_LOOK_AT: Final = 5
"""Earlier runs whose times count."""
_SEARCH: Final = 20
"""Earlier runs, one of which may be of the same command."""


@dataclass(frozen=True, slots=True)
class Usual:
    """What earlier runs of a project let expect.

    `seconds` has the median time of each node that succeeded in them. `expected` has the nodes of
    the latest whole run of the same command, each with the seconds that it took there: none if it
    was skipped, None if they are not known. `announced` is how many of them dbt announced. They are
    empty and None if there is no such run.
    """

    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    expected: Mapping[str, float | None] = field(default_factory=dict[str, float | None])
    announced: int | None = None


def usual(journal: Journal, info: RunInfo) -> Usual:
    """What the runs of the same project before `info` let expect of it."""
    times: dict[str, list[float]] = {}
    expected: dict[str, float | None] = {}
    announced: int | None = None
    for place, (number, earlier) in enumerate(_runs_before(journal, info, _SEARCH)):
        may_tell = not expected and earlier.command == info.command and not earlier.renews
        if place >= _LOOK_AT and not may_tell:
            continue
        rows = journal.database.rows(
            "select key, outcome, body from record where run = ?", (number,)
        )
        if place < _LOOK_AT:
            _add_times(times, rows)
        if not may_tell:
            continue
        run = next((read_body(body, key) for key, _, body in rows if key == RunRecord.key), None)
        if isinstance(run, RunRecord) and run.state == "finished" and not run.missing:
            expected, announced = _taken(rows), run.announced
    return Usual(_medians(times), expected, announced)


def usual_seconds(journal: Journal, info: RunInfo, names: Sequence[str]) -> dict[str, float]:
    """The usual seconds of a few nodes of the project before `info`."""
    times: dict[str, list[float]] = {}
    marks = ", ".join("?" * len(names))
    for number, _ in _runs_before(journal, info, _LOOK_AT):
        rows = journal.database.rows(
            f"select key, outcome, body from record where run = ? and key in ({marks})",  # noqa: S608
            (number, *names),
        )
        _add_times(times, rows)
    return _medians(times)


def _medians(times: Mapping[str, list[float]]) -> dict[str, float]:
    # The module `statistics` takes longer to import than all this.
    medians: dict[str, float] = {}
    for name, found in times.items():
        found.sort()
        half = len(found) // 2
        medians[name] = (found[half] + found[~half]) / 2
    return medians


def _runs_before(journal: Journal, info: RunInfo, most: int) -> list[tuple[int, RunInfo]]:
    """The latest runs of the same project that began before this one, newest first."""
    rows = journal.database.rows(
        "select id from run where project_dir = ? and started_at < ? order by id desc limit ?",
        (info.project_dir, info.started_at, most),
    )
    found: list[tuple[int, RunInfo]] = []
    for (number,) in rows:
        with contextlib.suppress(LookupError):  # pruned meanwhile, or damaged
            found.append((number, JournalRun.find(journal.database, number).info))
    return found


def _taken(rows: Iterable[tuple[Any, ...]]) -> dict[str, float | None]:
    """The seconds that each node of a run took, whatever its end."""
    found: dict[str, float | None] = {}
    for key, outcome, body in rows:
        if key == RunRecord.key:
            continue
        found[key] = 0.0 if outcome == "skipped" else _seconds(body)
    return found


def _add_times(times: dict[str, list[float]], rows: Iterable[tuple[Any, ...]]) -> None:
    """Add the times of nodes that the run itself ran to a good end.

    Reads two fields of each body: whole records would cost six times as much.
    """
    for key, outcome, body in rows:
        if outcome not in SUCCESSFUL:
            continue
        seconds = _seconds(body)
        if seconds is not None:
            times.setdefault(key, []).append(seconds)


def _seconds(body: Any) -> float | None:
    """The seconds that a node took in its run; None if they are not known."""
    with contextlib.suppress(ValueError, TypeError):  # a damaged body
        record: Any = orjson.loads(body)
        if is_object(record) and "resumed_from" not in record:
            return finite_number(record.get("execution_time"))
    return None
