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


def take(told: History, results: dict[str, list[Result]]) -> list[str]:
    """The nodes that are slower, once these were added to the history."""
    for name, of_node in results.items():
        told.add(name, of_node)
    for name in told.maybe_slower & results.keys():
        told.judge(name, results[name])
    return [one.unique_id for one in told.slower]


def seconds(*of_runs: float) -> list[Result]:
    return [Result(n, "success", s) for n, s in enumerate(of_runs)]


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
    slow = seconds(*[10.0] * 6, 90.0)
    here = [*slow[:-1], Result(25, "success", 90.0)]
    assert take(told, {"gone": [*slow, Result(7, "failure")], "here": here}) == ["here"]
    assert not told.nodes[0].is_failing


def test_the_most_seconds_come_first() -> None:
    nodes = {"tiny": seconds(*[0.1] * 6, 2.0), "huge": seconds(*[100.0] * 6, 180.0)}
    assert take(history(7), nodes) == ["huge", "tiny"]


def test_in_a_run_that_is_slow_as_a_whole_a_node_must_be_slower_than_the_others() -> None:
    nodes = {f"m{n}": seconds(*[n + 1.0] * 6, 3 * (n + 1.0)) for n in range(20)}
    told = history(7)
    assert take(told, {**nodes, "slow": seconds(*[2.0] * 6, 30.0)}) == ["slow"]
    assert told.slowness == {6: 3.0}
    assert told.maybe_slower == {*nodes, "slow"}
    assert told.slower[0].last == 30.0


def test_few_nodes_do_not_make_a_run_slow() -> None:
    nodes = {f"m{n}": seconds(*[n + 1.0] * 6, 3 * (n + 1.0)) for n in range(9)}
    assert len(take(history(7), nodes)) == 9


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
