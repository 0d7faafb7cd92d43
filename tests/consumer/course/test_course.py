"""When a run's nodes ran, what decided its length, and where a picture has them."""

from __future__ import annotations

from typing import Any

import pytest
from support.records import node

from dbt_relay.consumer.course.comparison import compare
from dbt_relay.consumer.course.critical_path import critical_path
from dbt_relay.consumer.course.layers import layers
from dbt_relay.consumer.course.spans import believable, lanes, spans, waits
from dbt_relay.records.schema import NodeRecord


def ran(name: str, start: float, end: float, thread: str | None = None, **more: Any) -> NodeRecord:
    """A node that ran at these seconds of an hour."""
    times = [f"2026-11-26T03:{int(t // 60):02}:{t % 60:09.6f}Z" for t in (start, end)]
    fields = {"started_at": times[0], "finished_at": times[1], "execution_time": end - start}
    return node(name, thread=thread, **fields | more)


class TestCriticalPath:
    def test_it_is_the_chain_with_the_longest_sum(self) -> None:
        graph = {"a": [], "b": ["a"], "long": [], "end": ["b", "long"]}
        assert critical_path(graph, {"a": 3, "b": 3, "long": 5, "end": 1}) == ["a", "b", "end"]
        assert critical_path(graph, {"a": 3, "b": 3, "long": 7, "end": 1}) == ["long", "end"]

    def test_it_leads_through_a_node_without_a_time(self) -> None:
        graph = {"a": [], "skipped": ["a"], "b": ["skipped"]}
        assert critical_path(graph, {"a": 1, "b": 1}) == ["a", "b"]

    def test_without_a_graph_there_is_none(self) -> None:
        assert critical_path({}, {"a": 1}) == []


class TestTimeline:
    def test_threads_are_in_the_order_of_their_numbers(self) -> None:
        records = [ran(f"model.{n}", 0, 1, f"Thread-{n} (worker)") for n in (10, 2, 1)]
        names = [lane.name for lane in lanes(records, spans(records))]
        assert names == ["Thread-1", "Thread-2", "Thread-10"]

    def test_without_threads_a_lane_is_what_one_thread_could_have_done(self) -> None:
        records = [ran("a", 0, 2), ran("b", 1, 3), ran("c", 2, 4), ran("d", 3, 4)]
        found = [[s.unique_id for s in lane.spans] for lane in lanes(records, spans(records))]
        assert found == [["a", "c"], ["b", "d"]]

    def test_what_overlaps_in_one_thread_has_a_lane_of_its_own(self) -> None:
        records = [ran("model", 0, 9, "Thread-1"), ran("batch", 1, 2, "Thread-1")]
        assert len(lanes(records, spans(records))) == 2

    @pytest.mark.parametrize(
        "more",
        [{"resumed_from": 1}, {"renewed": True}, {"outcome": "skipped"}, {"started_at": "soon"}],
    )
    def test_a_node_that_this_run_did_not_run_has_no_span(self, more: dict[str, Any]) -> None:
        fields = {"execution_time": None, **more}
        assert spans([ran("model.a", 0, 1, **fields)]) == {}

    def test_a_hook_without_a_start_has_one_by_its_seconds(self) -> None:
        (span,) = spans([ran("operation.a", 3, 4, started_at=None)]).values()
        assert span.seconds == pytest.approx(1)

    def test_a_node_waits_for_its_last_parent_and_then_for_a_thread(self) -> None:
        found = spans([ran("a", 0, 2), ran("b", 0, 5), ran("c", 7, 8)])
        wait = waits({"c": ["a", "b"]}, found)["c"]
        assert (wait.parent, wait.queued) == ("b", pytest.approx(2))

    def test_a_node_did_not_wait_for_what_ended_after_its_start(self) -> None:
        found = spans([ran("a", 0, 2), ran("b", 0, 5), ran("c", 3, 8)])
        graph = {"a": [], "b": ["unknown"], "c": ["a", "b", "unknown"]}
        assert believable(graph, found) == {"a": (), "b": ("unknown",), "c": ("a", "unknown")}


class TestLayers:
    def test_a_node_stands_after_all_its_parents(self) -> None:
        graph = {"a": [], "b": ["a"], "c": ["a", "b"], "alone": []}
        assert [set(layer) for layer in layers(graph)] == [{"a", "alone"}, {"b"}, {"c"}]

    def test_neighbours_stand_together(self) -> None:
        graph = {"a": [], "b": [], "below b": ["b"], "below a": ["a"]}
        first, second = layers(graph)
        assert [f"below {name}" for name in first] == second


class TestComparison:
    def test_what_changed(self) -> None:
        now = [
            node("slower", execution_time=10.0),
            node("faster", execution_time=1.0),
            node("same", execution_time=10.0),
            node("broken", "error", execution_time=99.0),
            node("mended"),
            node("new"),
        ]
        before = [
            node("slower", execution_time=5.0),
            node("faster", execution_time=2.0),
            node("same", execution_time=9.0),
            node("broken", execution_time=1.0),
            node("mended", "error"),
            node("gone"),
        ]
        found = compare(now, {record.unique_id: record for record in before})
        assert [(c.unique_id, c.by) for c in found.slower] == [("slower", 5.0)]
        assert [(c.unique_id, c.by) for c in found.faster] == [("faster", -1.0)]
        assert (found.broken, found.mended) == (("broken",), ("mended",))
        assert (found.new, found.gone) == (("new",), ("gone",))

    def test_small_changes_of_quick_nodes_are_noise(self) -> None:
        now = [node("a", execution_time=0.4)]
        found = compare(now, {"a": node("a", execution_time=0.01)})
        assert found.slower == ()

    def test_the_time_of_another_attempt_is_not_compared(self) -> None:
        now = [node("a", execution_time=9.0, resumed_from=1)]
        assert compare(now, {"a": node("a", execution_time=1.0)}).slower == ()
