"""The end of the last deliveries, which a stop signal brings closer."""

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

Airflow 3 kills a task 5 s after its SIGTERM. The task's note and the end of the process have to fit
in as well.
"""
AFTER_STOP_AND_DBT: Final = 3.0
"""Seconds from a signal that stopped dbt to the last delivery, if dbt ends that soon."""
AFTER_SECOND_STOP: Final = 1.0

_NOTE: Final = 5.0
_NOTE_AFTER_STOP: Final = 0.7
_AMENDMENT: Final = 5.0


class Deadline:
    """The moment after which nothing more is sent: `seconds` from now, or sooner.

    A stop signal leaves less time, a second one none. `take` returns the signals since its last
    call. `is_stopped` says that the relay was told to stop already.
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
        """The deadline of a run whose dbt has just ended. `flush_timeout` is in seconds."""
        seconds = flush_timeout
        if child.stopped_at is not None:
            since = time.monotonic() - child.stopped_at
            most = (
                AFTER_SECOND_STOP
                if child.is_stopped_twice
                else max(AFTER_STOP, AFTER_STOP_AND_DBT - since)
            )
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
        """The seconds that are left."""
        _ = self.is_stopped
        return max(0.0, self._at - self._clock())

    def is_over(self) -> bool:
        return self.left <= 0.0

    def extend(self) -> None:
        """Leave some time to send the figures on the deliveries."""
        if not self.is_stopped:
            self._at = max(self._at, self._clock() + min(_AMENDMENT, self.seconds))

    def for_note(self) -> Deadline:
        """The deadline of the task's note, which comes last."""
        most = _NOTE_AFTER_STOP if self.is_stopped else _NOTE
        return Deadline(
            min(most, self.seconds), self._take, is_stopped=self.is_stopped, clock=self._clock
        )

    def describe(self) -> str:
        """Words for the deadline, to follow `not sent`."""
        if self.is_stopped:
            return "before the relay had to stop"
        return f"before --flush-timeout ({self.seconds:g} s)"
