"""The history of a project, node after node."""

from __future__ import annotations

from datetime import date, datetime, timezone

from dbt_relay.consumer.history.history import History
from dbt_relay.records.brief import BriefRun, Result

DAY = 86_400.0
FIRST = datetime(2026, 3, 1, 23, 59, tzinfo=timezone.utc).timestamp()
"""A Sunday, a minute before the next week begins in UTC."""


def history(runs: int) -> History:
    """Of a run a day."""
    return History(
        [BriefRun(n, f"t{n}", n + 1, "/shop", "dbt build", FIRST + n * DAY, 1) for n in range(runs)]
    )


def test_a_node_is_told_in_a_few_figures() -> None:
    told = history(4)
    told.add("m", [Result(0, "success", 3.0), Result(1, "failure", 0.1), Result(2, "success", 5.0)])
    (node,) = told.nodes
    assert (node.times, node.failed, node.last_failed, node.is_failing) == (3, 1, 1, False)
    assert node.pace is not None
    assert (node.pace.usual, node.last) == (4.0, 5.0)


def test_a_node_that_dbt_only_skipped_did_not_run() -> None:
    told = history(1)
    told.add("m", [Result(0, "skipped")])
    assert told.nodes == []


def test_what_fails_now_comes_before_what_failed_more_often() -> None:
    told = history(4)
    told.add("often", [Result(n, "failure" if n < 3 else "success") for n in range(4)])
    told.add("now", [Result(n, "failure" if n == 3 else "success") for n in range(4)])
    told.add("never", [Result(3, "success")])
    assert [node.unique_id for node in told.failing] == ["now", "often"]


def test_a_node_that_is_gone_is_no_news() -> None:
    told = history(30)
    slow = [*(Result(n, "success", 10.0) for n in range(6)), Result(6, "success", 90.0)]
    told.add("gone", [*slow, Result(7, "failure")])
    assert told.slower == []
    assert not told.nodes[0].is_failing
    told.add("here", [*slow[:-1], Result(25, "success", 90.0)])
    assert [one.unique_id for one in told.slower] == ["here"]


def test_the_most_seconds_come_first() -> None:
    told = history(7)
    for name, usual, last in (("tiny", 0.1, 2.0), ("huge", 100.0, 180.0)):
        times = [usual] * 6 + [last]
        told.add(name, [Result(n, "success", s) for n, s in enumerate(times)])
    assert [one.unique_id for one in told.slower] == ["huge", "tiny"]


def test_rows_and_bytes_are_added_up_by_week() -> None:
    told = history(9)
    counted = {0: (5, None), 1: (10, 100), 7: (20, 200), 8: (40, 400)}
    told.add("m", [Result(n, "success", 1.0, None, *counts) for n, counts in counted.items()])
    told.add("view", [Result(0, "success", 1.0)])
    weeks = [(w.first, w.runs, w.rows, w.bytes, w.slot_ms) for w in told.nodes[0].weeks]
    assert weeks == [
        (date(2026, 2, 23), 1, 5, None, None),
        (date(2026, 3, 2), 2, 30, 300, None),
        (date(2026, 3, 9), 1, 40, 400, None),
    ]
    assert told.nodes[1].weeks == ()


def slow_at_last(nodes: int) -> tuple[History, dict[str, list[Result]]]:
    """A history whose last run took each node three times as long, and the results of the nodes."""
    told, results = history(7), {}
    for node in range(1, nodes + 1):
        times = [float(node)] * 6 + [3.0 * node]
        results[f"m{node}"] = [Result(n, "success", s) for n, s in enumerate(times)]
        told.add(f"m{node}", results[f"m{node}"])
    return told, results


def test_in_a_run_that_is_slow_as_a_whole_a_node_must_be_slower_than_the_others() -> None:
    told, results = slow_at_last(20)
    results["slow"] = [Result(n, "success", 30.0 if n == 6 else 2.0) for n in range(7)]
    told.add("slow", results["slow"])
    assert len(told.slower) == 21
    assert told.slowness == {6: 3.0}
    for name, of_node in results.items():
        told.judge(name, of_node)
    assert [(one.unique_id, one.last) for one in told.slower] == [("slow", 30.0)]


def test_few_nodes_do_not_make_a_run_slow() -> None:
    told, _ = slow_at_last(9)
    assert told.slowness == {}
    assert len(told.slower) == 9
