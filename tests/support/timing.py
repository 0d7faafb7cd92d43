"""Time for tests of delivery: a clock that stands still, and bounded waits for other threads."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 5.0
"""Seconds of real time after which a test gives up."""


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for another thread; AssertionError after PATIENCE."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "the condition never became true"
        time.sleep(0.001)


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
