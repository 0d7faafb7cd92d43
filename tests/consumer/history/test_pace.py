"""What counts as slower than usual, and since when."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from dbt_relay.consumer.history.pace import slower
from dbt_relay.records.brief import Result

if TYPE_CHECKING:
    from dbt_relay.consumer.history.pace import Slower


def found(*seconds: float, code: int | None = None) -> Slower | None:
    return slower("m", [Result(run, "success", s, code) for run, s in enumerate(seconds)])


def test_a_node_that_takes_longer_since_a_run_is_named_with_that_run() -> None:
    one = found(10, 11, 9, 10, 10, 11, 30, 31, 29)
    assert one is not None
    assert (one.pace.usual, one.last, one.since, one.times) == (10, 29, 6, 3)
    assert (one.factor, one.by) == (2.9, 19)


@pytest.mark.parametrize("place", range(8))
def test_one_outlier_in_the_past_moves_nothing(place: int) -> None:
    steady = [10.0, 11, 9, 10, 10, 11, 9, 10]
    with_outlier = [*steady[:place], 500.0, *steady[place:]]
    assert found(*with_outlier) is None
    one = found(*with_outlier, 30, 30)
    assert one is not None
    assert one.pace.usual == pytest.approx(10, abs=1)
    assert one.since == len(with_outlier)


def test_a_node_that_is_well_again_is_no_news() -> None:
    assert found(10, 10, 10, 10, 10, 10, 40, 40, 40, 10) is None


def test_an_old_change_that_was_reverted_does_not_hide_when_the_new_one_came() -> None:
    one = found(*[1.0] * 10, *[5.0] * 10, *[1.0] * 10, 5, 5)
    assert one is not None
    assert one.since == 30


@pytest.mark.parametrize(
    ("usual", "last", "enough"),
    [
        (0.02, 0.5, 0.6),  # it was 25 times as long, and nobody waits longer for it
        (60.0, 74.0, 76.0),  # it was 14 seconds, and not a quarter
    ],
)
def test_a_node_must_be_slower_by_seconds_and_by_a_share(
    usual: float, last: float, enough: float
) -> None:
    assert found(*[usual] * 10, last) is None
    assert found(*[usual] * 10, enough) is not None


def test_a_node_whose_time_varies_must_be_slower_than_it_varies() -> None:
    varied = [10.0, 20, 12, 25, 9, 22, 15, 11, 19, 14]
    assert found(*varied, 24) is None
    assert found(*varied, 60) is not None


def test_few_runs_name_nothing() -> None:
    assert found(1, 1, 1, 1, 100) is None
    assert found(1, 1, 1, 1, 1, 100) is not None


def test_a_failure_and_a_skip_have_no_time() -> None:
    steady = [Result(run, "success", 10.0) for run in range(8)]
    failed = Result(8, "failure", 300.0)
    assert slower("m", [*steady, failed]) is None
    assert slower("m", [*steady, failed, Result(9, "success", 30.0)]) is not None


def test_what_else_changed_then_is_told() -> None:
    before = [Result(run, "success", 10.0, 7, rows=100) for run in range(6)]
    one = slower("m", [*before, Result(6, "success", 30.0, 8, rows=310)])
    assert one is not None
    assert (one.code_changed, one.rows_factor) == (True, 3.1)
    one = slower("m", [*before, Result(6, "success", 30.0, 7, rows=120)])
    assert one is not None
    assert (one.code_changed, one.rows_factor) == (False, None)
    one = slower("m", [*before, Result(6, "success", 30.0)])
    assert one is not None
    assert (one.code_changed, one.rows_factor) == (None, None)


@pytest.mark.parametrize("runs", [6, 10, 50])
def test_noise_of_a_tenth_is_seldom_named_and_twice_the_time_nearly_always(runs: int) -> None:
    rolled = random.Random(14)

    def times(factor: float, since: int) -> list[float]:
        return [
            10 * rolled.lognormvariate(0, 0.1) * (factor if run >= since else 1)
            for run in range(runs)
        ]

    alarms = sum(found(*times(1, 0)) is not None for _ in range(500))
    assert alarms <= 10
    since = runs - 1 if runs < 8 else runs - 3
    hits = [found(*times(2, since)) for _ in range(200)]
    assert sum(one is not None and one.since == since for one in hits) >= 170
