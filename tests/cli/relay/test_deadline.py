"""How long the last deliveries may take. Airflow 3 kills a task 5 s after its SIGTERM."""

from __future__ import annotations

import signal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from support.timing import Clock

from dbt_relay.cli.relay.deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable

KILLED_AFTER = 5.0
LEFT_FOR_THE_END = 1.0
"""Seconds that the end of the process may take on a busy machine."""


class Told:
    """The signals that have come since they were last asked for."""

    def __init__(self) -> None:
        self.signals: list[int] = []

    def take(self) -> list[int]:
        taken, self.signals = self.signals, []
        return taken


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def stopped(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Deadline]:
    """The deadline of a run whose dbt was stopped at 0 and has ended now."""
    monkeypatch.setattr("time.monotonic", clock)

    def deadline(told: Told, *, twice: bool = False) -> Deadline:
        child: Any = SimpleNamespace(stopped_at=0.0, is_stopped_twice=twice)
        signals: Any = told
        return Deadline.after(child, signals, 30.0)

    return deadline


def test_without_a_signal_it_takes_its_seconds(clock: Clock, told: Told) -> None:
    deadline = Deadline(30.0, told.take, clock=clock)
    clock.now = 29.0
    assert (deadline.left, deadline.is_over()) == (1.0, False)
    clock.now = 30.0
    assert deadline.is_over()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("at", [0.0, 10.0, 29.9])
def test_a_signal_brings_it_and_the_note_before_the_kill(
    clock: Clock, told: Told, signum: int, at: float
) -> None:
    deadline = Deadline(30.0, told.take, clock=clock)
    clock.now = at
    told.signals.append(signum)
    clock.now += deadline.left
    assert deadline.is_over()
    deadline.extend()
    assert deadline.is_over(), "the figures are not sent any more"
    clock.now += deadline.for_note().left
    assert clock.now - at < KILLED_AFTER - LEFT_FOR_THE_END


def test_a_second_signal_leaves_no_time(clock: Clock, told: Told) -> None:
    deadline = Deadline(30.0, told.take, clock=clock)
    told.signals.append(signal.SIGTERM)
    assert 0 < deadline.left < KILLED_AFTER
    told.signals.append(signal.SIGTERM)
    assert deadline.is_over()
    note = deadline.for_note()
    told.signals.append(signal.SIGTERM)
    assert note.is_over()


@pytest.mark.parametrize("dbt_took", [0.0, 0.4, 1.4, 2.5, 9.0])
def test_a_dbt_that_was_stopped_leaves_what_it_did_not_take(
    stopped: Callable[..., Deadline], clock: Clock, told: Told, dbt_took: float
) -> None:
    clock.now = dbt_took
    deadline = stopped(told)
    assert deadline.left >= 1
    if dbt_took < 2:
        clock.now += deadline.left
        clock.now += deadline.for_note().left
        assert clock.now <= KILLED_AFTER - LEFT_FOR_THE_END
    clock.now = dbt_took
    assert stopped(told, twice=True).left <= deadline.left
    told.signals.append(signal.SIGTERM)
    assert deadline.is_over(), "it is the second signal"


def test_a_signal_that_asks_for_nothing_changes_nothing(clock: Clock, told: Told) -> None:
    deadline = Deadline(30.0, told.take, clock=clock)
    told.signals.append(signal.SIGUSR1)
    assert deadline.left == 30


def test_the_figures_may_take_some_more_seconds(clock: Clock) -> None:
    for seconds, more in ((30.0, 5.0), (2.0, 2.0)):
        clock.now = 0.0
        deadline = Deadline(seconds, clock=clock)
        clock.now = seconds
        deadline.extend()
        assert deadline.left == more
