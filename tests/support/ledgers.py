"""Runs of a project in a journal, and what the ledger has of them."""

from __future__ import annotations

import json
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

PARENTS: dict[str, list[str]] = {
    "model.shop.stg_orders": ["source.shop.raw.orders"],
    "model.shop.stg_customers": [],
    "model.shop.orders": ["model.shop.stg_orders"],
    "model.shop.customers": ["model.shop.stg_customers", "model.shop.orders"],
    "test.shop.unique_orders_order_id.0123456789": ["model.shop.orders"],
    "test.shop.no_late_orders": ["model.shop.orders"],
}
"""The graph of the project that `fill` runs."""


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


def fill(state: Path, runs: int) -> None:
    """A run a day. `orders` is rewritten in run 9, and slower since. A test of it is flaky."""
    target = state.with_name("target")
    target.mkdir(exist_ok=True)
    (target / "manifest.json").write_text(
        json.dumps({"metadata": {"invocation_id": "i"}, "parent_map": PARENTS})
    )
    with Journal(state) as journal:
        for run in range(runs):
            code = {"checksum": "b" * 64 if run >= 8 else "a" * 64}
            slow = 95.0 if run >= 8 else 20.0 + run % 3
            rows = {"rows_affected": 1000 + run, "bytes_processed": 4_200_000 * (run + 1)}
            put(
                journal,
                run,
                timed("model.shop.stg_orders", run, 4.0, checksum="c" * 64),
                timed("model.shop.stg_customers", run, 30.0, checksum="d" * 64),
                timed("model.shop.orders", run, slow, after=15, adapter_response=rows, **code),
                timed(
                    "test.shop.unique_orders_order_id.0123456789",
                    run,
                    status="fail" if run in (2, 5) else "pass",
                ),
                timed("test.shop.no_late_orders", run, status="fail" if run > 9 else "pass"),
                timed("model.shop.customers", run, 10.0, after=120),
                target_dir=str(target),
            )
