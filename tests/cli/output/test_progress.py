"""How far a run is, from its events; and how long it may still take."""

from __future__ import annotations

import pytest
from support.logs import SCENARIOS, log
from support.records import node

from dbt_relay.cli.output.forecast import Forecast
from dbt_relay.cli.output.progress import Progress
from dbt_relay.parser import Event, EventReader, Run
from dbt_relay.sinks.journal.usual import Usual

NODES = [f"m{n}" for n in range(10)]
USUAL = Usual(dict.fromkeys(NODES, 10.0), dict.fromkeys(NODES, 10.0), 10)
UNKNOWN = dict.fromkeys(NODES)


def followed(key: str) -> tuple[Run, Progress, list[int]]:
    """A run, its progress, and how many nodes ran at a time."""
    reader, run, progress = EventReader(), Run(), Progress(lambda: 0.0)
    at_a_time: list[int] = []
    for item in [*reader.feed(log(key)), *reader.end()]:
        if isinstance(item, Event) and (records := run.feed(item)) is not None:
            progress.take(run, item, records)
            at_a_time.append(len(progress.status().running))
    return run, progress, at_a_time


@pytest.mark.parametrize("key", [key for key in SCENARIOS if "debug" in key or "v2" in key])
def test_what_is_counted_is_what_the_run_has(key: str) -> None:
    run, progress, _ = followed(key)
    status = progress.status()
    records = run.records()
    assert sum(status.outcomes.values()) == len(records)
    for outcome, count in status.outcomes.items():
        assert count == sum(record.outcome == outcome for record in records)
    running = {n.unique_id for i in run.invocations for n in i.nodes.values() if not n.is_terminal}
    assert {node.unique_id for node in status.running} <= running
    if run.announced is not None and run.missing is not None:
        assert (status.total, status.done) == (run.announced, run.announced - run.missing)


def forecast(ended: int = 0, announced: int | None = 10) -> float | None:
    """After 10 s a node, one at a time, with the next one half done."""
    found = Forecast(USUAL, [f"m{n}" for n in range(ended)])
    return found.left(announced, ended * 10.0, ended * 10.0 + 5.0, {f"m{ended}": 5.0})


def test_the_time_left_comes_from_the_usual_times_and_the_pace() -> None:
    assert forecast(4) == pytest.approx(55.0)
    two = Forecast(USUAL, ["m0", "m1", "m2", "m3"])
    assert two.left(10, 40.0, 20.0, {}) == pytest.approx(30.0)


def test_the_longest_running_node_bounds_the_time_left() -> None:
    slow = Forecast(Usual({**USUAL.seconds, "m9": 1000.0}, USUAL.expected, 10), [])
    for n in range(9):
        slow.end(f"m{n}")
    assert slow.left(10, 90.0, 10.0, {"m9": 1.0}) == pytest.approx(999.0)


def test_nodes_that_were_skipped_or_failed_before_take_no_unknown_time() -> None:
    seconds = dict.fromkeys(NODES[:5], 10.0)
    expected = {**seconds, "m5": 40.0, **dict.fromkeys(NODES[6:], 0.0)}
    again = Forecast(Usual(seconds, expected, 10), NODES[:4])
    assert again.left(10, 40.0, 40.0, {}) == pytest.approx(50.0)


@pytest.mark.parametrize(
    "left",
    [
        Forecast(Usual(), ()).left(10, 50.0, 50.0, {}),
        forecast(0),
        forecast(4, announced=12),
        Forecast(USUAL, ["m0", "m1", "other"]).left(None, 20.0, 20.0, {}),
        Forecast(Usual({"m0": 1.0}, UNKNOWN, 10), ["m1", "m2"]).left(10, 20.0, 20.0, {}),
        Forecast(USUAL, [*USUAL.expected]).left(10, 100.0, 100.0, {}),
    ],
    ids=["no run", "no pace yet", "more nodes", "other nodes", "times unknown", "all ended"],
)
def test_no_time_is_told_that_nothing_supports(left: float | None) -> None:
    assert left is None


def test_an_amended_record_is_counted_once() -> None:
    progress = Progress()
    progress.record(node("m", "success"))
    progress.record(node("m", "error", sequence=2))
    status = progress.status()
    assert (status.done, status.outcomes) == (1, {"failure": 1})
    assert [record.unique_id for record in status.failures] == ["m"]
