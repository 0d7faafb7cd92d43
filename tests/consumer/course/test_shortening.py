"""What would shorten a run."""

from __future__ import annotations

import random

from dbt_relay.consumer.course.critical_path import critical_path
from dbt_relay.consumer.course.shortening import Saving, savings

ORDER = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c")}


def test_a_node_saves_no_more_than_the_next_chain_allows() -> None:
    seconds = {"a": 2.0, "b": 10.0, "c": 7.0, "d": 1.0}
    found = savings(ORDER, seconds, critical_path(ORDER, seconds))
    assert found == [Saving("b", 10.0, 3.0), Saving("a", 2.0, 2.0), Saving("d", 1.0, 1.0)]


def test_a_node_that_takes_no_time_shortens_the_run_by_what_is_told() -> None:
    rolled = random.Random(3)
    for _ in range(50):
        order = {
            str(n): tuple(str(p) for p in range(n) if rolled.random() < 0.3) for n in range(12)
        }
        seconds = {node: rolled.random() * 10 for node in order}
        length = sum(seconds[n] for n in critical_path(order, seconds))
        for one in savings(order, seconds, critical_path(order, seconds)):
            without = {**seconds, one.unique_id: 0.0}
            left = sum(without[n] for n in critical_path(order, without))
            assert abs(length - left - one.saves) < 1e-9
            assert 0 <= one.saves <= one.seconds + 1e-9
