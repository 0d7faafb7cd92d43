"""A run that lets go of its records says the same as a run that keeps them."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest
from support.logs import BEGIN, CORPUS, SCENARIOS, artifact, fold, line, log

from dbt_relay.parser import Event, EventReader, Run, read_run_results
from dbt_relay.records import NodeRecord
from dbt_relay.records.schema import read_record

if TYPE_CHECKING:
    from collections.abc import Callable

V2 = [f"2.0.0rc196/{path.name[:-9]}" for path in CORPUS.glob("2.0.0rc196/*.jsonl.gz")]
LOGS = sorted({key for key in (*SCENARIOS, *V2) if log(key)[:1] == b"{"})
NODE = {"unique_id": "model.shop.a", "node_name": "a", "resource_type": "model", "node_path": "a"}
SUCCESS = line(
    "NodeFinished", {"node_info": NODE, "run_result": {"status": "success", "execution_time": 1.5}}
)
FAILURE = line("RunResultError", {"node_info": NODE, "msg": "boom"}, level="error")


class Keeper:
    """Keeps the records of a run in the form of a journal, and counts what is read back."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.recalled: list[str] = []

    def keep(self, records: list[NodeRecord]) -> None:
        self.kept.update((record.unique_id, json.dumps(record.to_json())) for record in records)

    def recall(self, unique_id: str) -> NodeRecord | None:
        self.recalled.append(unique_id)
        found = read_record(json.loads(self.kept[unique_id])) if unique_id in self.kept else None
        return found if isinstance(found, NodeRecord) else None


def folded(
    stream: bytes, keeper: Keeper, run: Run, results: bytes | None = None
) -> list[NodeRecord]:
    """The records of a run that lets go of each record once it is kept."""
    published: list[NodeRecord] = []

    def publish(records: list[NodeRecord]) -> None:
        published.extend(records)
        keeper.keep(records)
        run.release(records, keeper.recall)

    for item in EventReader().feed(stream):
        if isinstance(item, Event):
            publish(run.feed(item) or [])
    if results is not None and (read := read_run_results(results)) is not None:
        publish(run.reconcile(read))
    publish(run.finish())
    return published


@pytest.mark.parametrize("key", LOGS)
def test_the_same_records_come_of_every_log(key: str) -> None:
    results = artifact(key)
    expected = fold(log(key), results=results)
    run, keeper = Run(), Keeper()
    assert folded(log(key), keeper, run, results) == expected.records
    assert run.announced == expected.run.announced
    assert run.missing == expected.run.missing
    assert run.failed() == expected.run.failed()
    assert run.execution_times() == expected.run.execution_times()
    # dbt repeats the text of a test that warns, and cancels a node that has just ended.
    assert len(keeper.recalled) <= 1


def test_what_dbt_says_later_amends_the_whole_record() -> None:
    keeper = Keeper()
    first, second = folded(BEGIN + SUCCESS + FAILURE, keeper, Run())
    assert (first.outcome, first.sequence) == ("success", 1)
    assert (second.outcome, second.sequence, second.message) == ("failure", 2, "boom")
    assert (second.execution_time, second.path) == (1.5, "a")
    assert keeper.recalled == ["model.shop.a"]


@pytest.mark.parametrize("kept", ["lost", "of another invocation"])
def test_a_record_that_is_lost_is_amended_all_the_same(kept: str) -> None:
    run = Run()
    events = [item for item in EventReader().feed(BEGIN + SUCCESS) if isinstance(item, Event)]
    records = [record for event in events for record in run.feed(event) or ()]
    other = NodeRecord(unique_id="model.shop.a", status="success", outcome="success", path="b")
    found: Callable[[str], NodeRecord | None] = lambda _: other if kept != "lost" else None  # noqa: E731
    run.release(records, found)
    (late,) = [item for item in EventReader().feed(FAILURE) if isinstance(item, Event)]
    (amended,) = run.feed(late) or ()
    assert (amended.outcome, amended.sequence, amended.message) == ("failure", 2, "boom")
    assert (amended.path, amended.execution_time) == ("a", None)


def test_the_last_invocation_of_a_node_counts() -> None:
    """The record of an earlier invocation stays in memory if the node failed there."""
    failed = line("NodeFinished", {"node_info": NODE, "run_result": {"status": "error"}})
    stream = BEGIN + failed + (BEGIN + SUCCESS).replace(b'"i-1"', b'"i-2"')
    run = Run()
    folded(stream, Keeper(), run)
    assert run.failed() == []


def test_a_released_node_takes_a_few_hundred_bytes() -> None:
    run, keeper = Run(), Keeper()
    folded(BEGIN + SUCCESS, keeper, run)
    (invocation,) = run.invocations
    (node,) = invocation.nodes.values()
    assert node.is_released
    held = [node, node.unique_id, *(getattr(node, name) for name in type(node).__slots__)]
    assert sum(sys.getsizeof(value) for value in held if value is not None) < 1_000
