"""How long the last deliveries may take, and how a stop signal shortens that."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from ..process.signals import STOP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..process.child import Child
    from ..process.signals import Signals

AFTER_STOP: Final = 1.5
"""Seconds for the last deliveries after a stop signal.

Airflow 3 kills a task 5 s after its SIGTERM, and what the relay says after that nobody hears. The
note comes after this, and the end of the process.
"""
AFTER_STOP_AND_DBT: Final = 3.0
"""Seconds from a signal that stopped dbt to the last delivery, if dbt ends that soon."""
TOLD_TWICE: Final = 1.0

_NOTE: Final = 5.0
_NOTE_AFTER_STOP: Final = 0.7
_AMENDMENT: Final = 5.0


class Deadline:
    """The moment after which nothing is sent any more.

    `seconds` from now; a stop signal leaves less, a second one nothing. `take` gives the signals
    that have come since it was asked last. `is_stopped` says that the relay was told to stop.
    """

    def __init__(
        self,
        seconds: float,
        take: Callable[[], Iterable[int]] = tuple,
        *,
        is_stopped: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seconds = seconds
        self._is_stopped = is_stopped
        self._take = take
        self._clock = clock
        self._at = clock() + seconds

    @classmethod
    def after(cls, child: Child, signals: Signals, flush_timeout: float) -> Deadline:
        """That of a run whose dbt has just ended."""
        seconds = flush_timeout
        if child.stopped_at is not None:
            since = time.monotonic() - child.stopped_at
            most = TOLD_TWICE if child.told_twice else max(AFTER_STOP, AFTER_STOP_AND_DBT - since)
            seconds = min(flush_timeout, most)
        return cls(seconds, signals.take, is_stopped=child.stopped_at is not None)

    @property
    def is_stopped(self) -> bool:
        for _ in (signum for signum in self._take() if signum in STOP):
            self._at = min(self._at, self._clock() + (0.0 if self._is_stopped else AFTER_STOP))
            self._is_stopped = True
        return self._is_stopped

    @property
    def left(self) -> float:
        """Seconds."""
        _ = self.is_stopped
        return max(0.0, self._at - self._clock())

    def is_over(self) -> bool:
        return self.left <= 0.0

    def extend(self) -> None:
        """Leave some time for what is to be told of the deliveries themselves."""
        if not self.is_stopped:
            self._at = max(self._at, self._clock() + min(_AMENDMENT, self.seconds))

    def for_note(self) -> Deadline:
        """That of the task's note, which comes last."""
        most = _NOTE_AFTER_STOP if self.is_stopped else _NOTE
        return Deadline(
            min(most, self.seconds), self._take, is_stopped=self.is_stopped, clock=self._clock
        )

    def describe(self) -> str:
        """Before what the rest was not sent."""
        if self.is_stopped:
            return "before the relay had to stop"
        return f"before --flush-timeout ({self.seconds:g} s)"
