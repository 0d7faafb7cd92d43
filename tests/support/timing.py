"""Time for tests: a clock that stands still, and waits for others that have an end."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 60.0
"""Seconds after which a test gives up. Nothing takes so long but what never comes."""

Answer = TypeVar("Answer")


def wait_until(
    ask: Callable[[], Answer], what: object = "the condition", pause: float = 0.002
) -> Answer:
    """Ask until the answer is true, and return it. AssertionError that names `what` if none is."""
    deadline = time.monotonic() + PATIENCE
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"not within {PATIENCE:g} s: {what}"
        time.sleep(pause)
    return answer


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """The block takes less: far less than the wait that it must not have, on a busy machine too."""
    started = time.monotonic()
    yield
    took = time.monotonic() - started
    assert took < seconds, f"it took {took:.1f} s"


def longest(_: float, most: float) -> float:
    """Jitter that always takes the longest delay."""
    return most


class Clock:
    """Stands still until the test sets `now`. Counts how often each thread has read it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.reads: dict[str, int] = {}

    def __call__(self) -> float:
        name = threading.current_thread().name
        self.reads[name] = self.reads.get(name, 0) + 1
        return self.now
