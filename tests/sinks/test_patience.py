"""What a delivery makes of the verdicts of its sink, and when it asks again."""

from __future__ import annotations

import pytest

from dbt_relay.sinks import Delivered, Hold, Rejected, Retry
from dbt_relay.sinks.patience import LAST_PROBES_EVERY, PROBE_EVERY, SEVERAL, Patience

REFUSED = Hold("the token is not accepted: renew it", seen="answered 401")


def longest(_: float, most: float) -> float:
    return most


@pytest.fixture
def patience() -> Patience:
    return Patience(longest)


def test_a_refusal_before_any_success_is_a_persons_turn(patience: Patience) -> None:
    patience.settle(REFUSED, 0)
    assert (patience.trouble, patience.paused_until) == (REFUSED.reason, PROBE_EVERY)
    assert patience.is_hopeless


def test_a_page_before_any_success_may_pass(patience: Patience) -> None:
    patience.settle(Hold("no API", may_pass=True), 0)
    assert patience.is_held
    assert not patience.is_hopeless


def test_after_a_success_only_several_in_a_row_are(patience: Patience) -> None:
    patience.settle(Delivered(), 0)
    now = 0.0
    for _ in range(SEVERAL):
        patience.settle(REFUSED, now)
        assert (patience.trouble, patience.is_held) == ("answered 401", False)
        assert now < patience.paused_until <= now + LAST_PROBES_EVERY
        now = patience.paused_until
    assert now < 10
    patience.settle(REFUSED, now)
    assert (patience.trouble, patience.is_held) == (REFUSED.reason, True)
    assert not patience.is_hopeless, "it has worked"
    assert patience.paused_until == now + PROBE_EVERY


@pytest.mark.parametrize("taken", [Delivered(), Rejected("422")])
def test_whatever_is_taken_begins_the_count_anew(
    patience: Patience, taken: Delivered | Rejected
) -> None:
    patience.settle(Delivered(), 0)
    for now in range(0, 100, 10):
        patience.settle(REFUSED, now)
        patience.settle(taken, now)
        assert (patience.trouble, patience.paused_until) == (None, 0)
    assert not patience.is_held


def test_a_server_in_trouble_between_them_does_not(patience: Patience) -> None:
    patience.settle(Delivered(), 0)
    for number in range(SEVERAL + 1):
        patience.settle(Retry("503"), number * 100)
        patience.settle(REFUSED, number * 100 + 50)
    assert patience.is_held


def test_what_several_workers_had_on_the_way_counts_once(patience: Patience) -> None:
    patience.settle(Delivered(), 0)
    for _ in range(3 * SEVERAL):
        patience.settle(REFUSED, 1)
    assert not patience.is_held


def test_once_dbt_has_ended_it_is_asked_again_every_second_or_two(patience: Patience) -> None:
    patience.settle(Delivered(), 0)
    now = 0.0
    for _ in range(SEVERAL + 1):
        patience.settle(REFUSED, now)
        now = patience.paused_until
    patience.is_last = True
    patience.release(now)
    assert patience.paused_until <= now
    for verdict in (REFUSED, Retry("down"), REFUSED, *[Retry("down")] * 9):
        patience.settle(verdict, now)
        assert now < patience.paused_until <= now + LAST_PROBES_EVERY
        now = patience.paused_until


def test_the_end_does_not_wait_for_what_was_put_off_while_dbt_ran(patience: Patience) -> None:
    for _ in range(10):
        patience.settle(Retry("down"), patience.paused_until)
    now = patience.paused_until - 29
    patience.release(now)
    assert patience.paused_until == now + LAST_PROBES_EVERY


def test_the_servers_own_wish_is_kept_to_the_end(patience: Patience) -> None:
    patience.settle(Retry("slow down", after=20), 0)
    patience.is_last = True
    patience.release(1)
    assert patience.paused_until == 20
