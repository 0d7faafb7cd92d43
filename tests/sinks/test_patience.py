"""What follows from the verdicts of a sink: when it is tried again, and who has to act."""

from __future__ import annotations

import pytest
from support.timing import longest

from dbt_relay.sinks import Delivered, Hold, Rejected, Retry
from dbt_relay.sinks.patience import LAST_PROBES_EVERY, PROBE_EVERY, SEVERAL, Patience

REFUSED = Hold("the token is not accepted: renew it", seen="answered 401")


@pytest.fixture
def patience() -> Patience:
    return Patience(longest)


def test_after_a_refusal_before_any_success_a_person_has_to_act(patience: Patience) -> None:
    patience.settle(REFUSED, 0)
    assert (patience.trouble, patience.paused_until) == (REFUSED.reason, PROBE_EVERY)
    assert patience.is_hopeless


def test_a_proxys_page_before_any_success_may_go_away(patience: Patience) -> None:
    patience.settle(Hold("no API", may_pass=True), 0)
    assert patience.is_held
    assert not patience.is_hopeless


def test_after_a_success_only_several_refusals_in_a_row_need_a_person(
    patience: Patience,
) -> None:
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
    assert not patience.is_hopeless, "the sink has worked before"
    assert patience.paused_until == now + PROBE_EVERY


@pytest.mark.parametrize("taken", [Delivered(), Rejected("422")])
def test_an_answer_to_a_record_resets_the_count_of_refusals(
    patience: Patience, taken: Delivered | Rejected
) -> None:
    patience.settle(Delivered(), 0)
    for now in range(0, 100, 10):
        patience.settle(REFUSED, now)
        patience.settle(taken, now)
        assert (patience.trouble, patience.paused_until) == (None, 0)
    assert not patience.is_held


def test_a_failure_between_them_does_not_reset_the_count(patience: Patience) -> None:
    patience.settle(Delivered(), 0)
    for number in range(SEVERAL + 1):
        patience.settle(Retry("503"), number * 100)
        patience.settle(REFUSED, number * 100 + 50)
    assert patience.is_held


def test_refusals_of_several_workers_at_once_count_as_one(patience: Patience) -> None:
    patience.settle(Delivered(), 0)
    for _ in range(3 * SEVERAL):
        patience.settle(REFUSED, 1)
    assert not patience.is_held


def test_once_dbt_has_ended_it_is_tried_again_every_second_or_two(patience: Patience) -> None:
    patience.settle(Delivered(), 0)
    now = 0.0
    for _ in range(SEVERAL + 1):
        patience.settle(REFUSED, now)
        now = patience.paused_until
    patience.has_deadline = True
    patience.try_soon(now)
    assert patience.paused_until <= now
    for verdict in (REFUSED, Retry("down"), REFUSED, *[Retry("down")] * 9):
        patience.settle(verdict, now)
        assert now < patience.paused_until <= now + LAST_PROBES_EVERY
        now = patience.paused_until


def test_a_long_pause_from_while_dbt_ran_is_cut_short_at_the_end(patience: Patience) -> None:
    for _ in range(10):
        patience.settle(Retry("down"), patience.paused_until)
    now = patience.paused_until - 29
    patience.try_soon(now)
    assert patience.paused_until == now + LAST_PROBES_EVERY


def test_the_servers_retry_after_is_honoured_to_the_end(patience: Patience) -> None:
    patience.settle(Retry("slow down", after=20), 0)
    patience.has_deadline = True
    patience.try_soon(1)
    assert patience.paused_until == 20
