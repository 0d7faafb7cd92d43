"""The delivery of one run: an outbox for each sink, and one deadline at the end."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final

from .outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from ..records.schema import Record
    from .journal.queue import Order
    from .journal.run import JournalRun
    from .outbox import Backlog, Figures
    from .sink import Sink

_POLL: Final = 0.05
"""Seconds between two looks at whether a flush is interrupted."""


class Delivery:
    """Sends every record of a run to every sink. Each sink has threads of its own.

    `put` waits for no sink. The run in the journal knows each
    sink by its name.
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

    def put(self, *records: Record) -> None:
        """Commit records in one transaction, and send them soon."""
        self.run.put_all(records, self._clock(), [outbox.name for outbox in self._outboxes])
        for outbox in self._outboxes:
            outbox.wake()

    def flush(
        self,
        timeout: float,
        interrupted: Callable[[], bool] = lambda: False,
        *,
        order: Order = "run first",
    ) -> None:
        """Wait until every record is settled, `timeout` seconds have passed, or `interrupted()`.

        Gives up early if the server asks for a longer wait, or if nothing can work before a person
        changes something.
        """
        deadline = self._clock() + timeout
        for outbox in self._outboxes:
            outbox.begin_flush(order)
        try:
            for outbox in self._outboxes:
                while not outbox.is_settled(deadline) and self._clock() < deadline:
                    if interrupted():
                        return
                    outbox.wait(min(_POLL, max(0.0, deadline - self._clock())))
        finally:
            for outbox in self._outboxes:
                outbox.end_flush()

    @property
    def is_under_way(self) -> bool:
        """Whether each sink has answered once. The first answer may take a second."""
        return all(outbox.has_answered for outbox in self._outboxes)

    def figures(self) -> list[Figures]:
        """For each sink, what became of its records so far."""
        return [outbox.figures() for outbox in self._outboxes]

    def backlogs(self) -> list[Backlog]:
        """For each sink how many records it does not have yet. Any thread may ask often."""
        return [outbox.backlog() for outbox in self._outboxes]

    def close(self) -> None:
        """Send no more. A worker that hangs in a request ends with the process."""
        for outbox in self._outboxes:
            outbox.close()
