"""Runs of a project in a journal, and what the ledger has of them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from dbt_relay.records.schema import RunRecord
from dbt_relay.sinks import Journal, RunInfo
from dbt_relay.sinks.ledger import reading
from dbt_relay.sinks.ledger.catching_up import catch_up
from dbt_relay.sinks.ledger.file import open_ledger
from support.records import node

if TYPE_CHECKING:
    from pathlib import Path

    from dbt_relay.records.schema import NodeRecord

PROJECT = "/srv/shop"
FIRST = datetime(2026, 11, 2, 3, tzinfo=timezone.utc)
"""A Monday."""


def at(run: int, seconds: float = 0.0) -> str:
    """A time in a run; there is one a day."""
    time = FIRST + timedelta(days=run, seconds=seconds)
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")


def timed(
    unique_id: str, run: int, seconds: float = 1.0, *, after: float = 10.0, **fields: Any
) -> NodeRecord:
    """The record of a node that took so long in a run, and succeeded if nothing else is said.

    It began `after` so many seconds of the run.
    """
    known: dict[str, Any] = {
        "started_at": at(run, after),
        "finished_at": at(run, after + seconds),
        "execution_time": seconds,
        "invocation_id": "i",
        **fields,
    }
    return node(unique_id, known.pop("status", "success"), **known)


def put(journal: Journal, run: int, *records: NodeRecord, is_over: bool = True, **of: Any) -> int:
    """A run of the project with these records; its number."""
    info = RunInfo(
        **{
            "command": ("dbt", "build"),
            "started_at": at(run),
            "project_dir": PROJECT,
            **of,
        }
    )
    begun = journal.begin(info)
    begun.put_all(records, 0.0)
    if is_over:
        begun.put(RunRecord(state="finished", exit_code=0, finished_at=at(run, 60)), 0.0)
    begun.close()
    return begun.number


def told(state: Path, project: str = PROJECT) -> dict[str, list[tuple[Any, ...]]]:
    """What the ledger has once it has caught up: run, outcome and seconds by node."""
    with Journal(state) as journal, open_ledger(state) as ledger:
        catch_up(journal, ledger)
        runs = reading.runs(ledger, project)
        return {
            unique_id: [(runs[r.run].number, r.outcome, r.seconds) for r in results]
            for unique_id, results in reading.results(ledger, runs)
        }
