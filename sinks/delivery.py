"""Workers between the journal and the sinks: retry, hold, one deadline at the end."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final

from .outbox import Figures, Outbox
from .patience import LONGEST_DELAY, LONGEST_RETRY_AFTER, PROBE_EVERY, retry_delay

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from ..records.schema import Record
    from .journal.queue import Order
    from .journal.run import JournalRun
    from .sink import Sink

__all__ = [
    "LONGEST_DELAY", "LONGEST_RETRY_AFTER", "PROBE_EVERY", "Delivery", "Figures", "retry_delay",
]  # fmt: skip

_GLANCE: Final = 0.05


class Delivery:
    """Hands every record of a run to every sink, each in threads of its own.

    `put` commits to the journal and waits for no sink. The names of the sinks are those that the
    run in the journal knows.
    """

    def __init__(
        self,
        run: JournalRun,
        sinks: Sequence[Sink],
        *,
        workers: int = 1,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.run = run
        self._outboxes = [Outbox(sink, run, clock, jitter) for sink in sinks]
        for outbox in self._outboxes:
            outbox.start(workers)
        self._clock = clock

    def __enter__(self) -> Delivery:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def put(self, record: Record) -> None:
        self.run.put(record, self._clock(), [outbox.name for outbox in self._outboxes])
        for outbox in self._outboxes:
            outbox.wake()

    def flush(
        self,
        timeout: float,
        interrupted: Callable[[], bool] = lambda: False,
        *,
        order: Order = "run first",
    ) -> None:
        """Wait until every record is settled, `timeout` seconds have passed or `interrupted`.

        Gives up early where the server wants the next try to come after that, or where no
        try is of use before a person has mended something.
        """
        deadline = self._clock() + timeout
        for outbox in self._outboxes:
            outbox.begin_flush(order)
        try:
            for outbox in self._outboxes:
                while not outbox.is_settled(deadline) and self._clock() < deadline:
                    if interrupted():
                        return
                    outbox.wait(min(_GLANCE, max(0.0, deadline - self._clock())))
        finally:
            for outbox in self._outboxes:
                outbox.end_flush()

    @property
    def is_under_way(self) -> bool:
        """Whether each sink has answered once; Airflow's client takes a second to be loaded."""
        return all(outbox.has_answered for outbox in self._outboxes)

    def figures(self) -> list[Figures]:
        """For each sink what became of its records so far."""
        return [outbox.figures() for outbox in self._outboxes]

    def close(self) -> None:
        """Send no more. A worker that hangs in a request is left to die with the process."""
        for outbox in self._outboxes:
            outbox.close()
