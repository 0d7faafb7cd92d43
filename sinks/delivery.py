"""Workers between the journal and the sinks: retry, hold, one deadline at the end."""

from __future__ import annotations

import contextlib
import itertools
import random
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..parser.records import RunRecord
from .base import Delivered, Hold, Rejected, Retry
from .run_info import NOT_SENT, ClosedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from ..parser.records import Record
    from .base import Sink, Verdict
    from .journal_run import JournalRun
    from .run_info import Leased

FIRST_DELAY: Final = 0.5
LONGEST_DELAY: Final = 30.0
LONGEST_RETRY_AFTER: Final = 300.0
PROBE_EVERY: Final = 30.0
"""Seconds between tries while a person has to mend something."""

_GLANCE: Final = 0.05
_CHECKPOINT_EVERY: Final = 50
"""Settled records between two checkpoints of the journal: a megabyte or two of its log."""


def retry_delay(
    failures: int, after: float | None, jitter: Callable[[float, float], float]
) -> float:
    """Seconds to wait after so many failures in a row: full jitter, and the server's own wish."""
    ceiling = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(failures, 10))
    wish = min(after or 0.0, LONGEST_RETRY_AFTER)
    return max(jitter(0.0, ceiling), wish)


@dataclass(frozen=True, slots=True)
class Figures:
    """What became of the records of one sink; `waiting` and `rejected` map keys to reasons.

    All count nodes; `run_record` is why the run's own record is not there, None if it is.
    """

    sink: str
    records: int
    delivered: int
    waiting: dict[str, str]
    rejected: dict[str, str]
    run_record: str | None = None

    @property
    def is_complete(self) -> bool:
        return not self.waiting and not self.rejected and self.run_record is None

    def to_json(self) -> dict[str, int]:
        return {
            "records": self.records,
            "delivered": self.delivered,
            "waiting": len(self.waiting),
            "rejected": len(self.rejected),
        }


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
        for record in run.records():
            for sink in sinks:
                sink.learn(record)
        self._lines = [_Line(sink, run, clock, jitter) for sink in sinks]
        for line in self._lines:
            line.start(workers)
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
        for line in self._lines:
            line.learn(record)
        self.run.put(record, self._clock())
        for line in self._lines:
            line.wake()

    def flush(self, timeout: float, interrupted: Callable[[], bool] = lambda: False) -> None:
        """Wait until every record is settled, `timeout` seconds have passed or `interrupted`.

        Gives up early where the next try would come after that.
        """
        deadline = self._clock() + timeout
        for line in self._lines:
            line.release()
        for line in self._lines:
            while not line.is_settled(deadline) and self._clock() < deadline:
                if interrupted():
                    return
                line.wait(min(_GLANCE, max(0.0, deadline - self._clock())))

    def figures(self) -> list[Figures]:
        """For each sink what became of its records so far."""
        return [line.figures() for line in self._lines]

    def close(self) -> None:
        """Send no more. A worker that hangs in a request is left to die with the process."""
        for line in self._lines:
            line.close()


class _Line:
    """One sink with its workers, and what waits for it."""

    def __init__(
        self,
        sink: Sink,
        run: JournalRun,
        clock: Callable[[], float],
        jitter: Callable[[float, float], float],
    ) -> None:
        self._sink = sink
        self._run = run
        self._clock = clock
        self._jitter = jitter
        self._changed = threading.Condition()
        self._failures = 0
        self._paused_until = 0.0
        self._held = False
        self._trouble: str | None = None
        self._closed = False

    def start(self, workers: int) -> None:
        for number in range(min(workers, self._sink.most_workers)):
            name = f"relay-{self._sink.name}-{number}"
            threading.Thread(target=self._work, name=name, daemon=True).start()

    def learn(self, record: Record) -> None:
        self._sink.learn(record)

    def wake(self) -> None:
        """Something waits."""
        with self._changed:
            self._changed.notify_all()

    def release(self) -> None:
        """Try what is held once more now."""
        with self._changed:
            if self._held:
                self._held, self._paused_until = False, 0.0
            self._changed.notify_all()

    def is_settled(self, deadline: float) -> bool:
        """Whether nothing more can come to pass before the deadline."""
        with self._changed:
            if self._is_sending:
                return False
            ready = self._ready_at()
            return self._held or ready is None or ready > deadline

    def wait(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait(seconds)

    def figures(self) -> Figures:
        with self._changed:
            # What was not sent yet waits for the same trouble to end as what was.
            trouble = self._trouble or NOT_SENT
            account = self._run.account(self._sink.name)
            waiting = {k: trouble if r == NOT_SENT else r for k, r in account.waiting.items()}
            rejected = account.rejected
            missing = (waiting.pop(RunRecord.key, None), rejected.pop(RunRecord.key, None))
            delivered = len(account.delivered - {RunRecord.key})
            return Figures(
                self._sink.name,
                delivered + len(waiting) + len(rejected),
                delivered,
                waiting,
                rejected,
                missing[0] or missing[1],
            )

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            is_sending = self._is_sending
        if not is_sending:
            self._sink.close()

    @property
    def _is_sending(self) -> bool:
        return self._run.is_sending(self._sink.name)

    def _work(self) -> None:
        # What is on its way when the journal closes was not acknowledged, and is sent again.
        with contextlib.suppress(ClosedError):
            for settled in itertools.count(1):
                leased = self._next()
                if leased is None:
                    return
                try:
                    verdict = self._sink.send(leased.record)
                except Exception as error:  # a sink's own fault must not end the delivery
                    verdict = Retry(f"{type(error).__name__} in the sink")
                with self._changed:
                    self._settle(leased, verdict)
                    self._changed.notify_all()
                if settled % _CHECKPOINT_EVERY == 0:
                    self._run.checkpoint()

    def _next(self) -> Leased | None:
        with self._changed:
            while not self._closed:
                now = self._clock()
                ready = self._ready_at()
                if ready is not None and ready <= now:
                    leased = self._run.lease(self._sink.name, now)
                    if leased is not None:
                        return leased
                self._changed.wait(None if ready is None else max(0.0, ready - now))
            return None

    def _ready_at(self) -> float | None:
        """When a record may be sent; None if not before something else comes to pass."""
        if self._trouble is not None and self._is_sending:
            return None  # one probe at a time, however many workers there are
        due = self._run.next_due(self._sink.name)
        return None if due is None else max(due, self._paused_until)

    def _settle(self, leased: Leased, verdict: Verdict) -> None:
        now, sink = self._clock(), self._sink.name
        self._held = isinstance(verdict, Hold)
        self._trouble = verdict.reason if isinstance(verdict, (Retry, Hold)) else None
        match verdict:
            case Delivered():
                self._failures, self._paused_until = 0, 0.0
                self._run.acknowledge(sink, leased)
            case Rejected(reason):
                self._failures, self._paused_until = 0, 0.0
                self._run.bury(sink, leased, reason)
            case Retry(reason, after):
                # The server is in trouble, not the record: all wait, and one will be the probe.
                # What other workers had on the way meanwhile is part of the same trouble.
                failures = self._failures if now >= self._paused_until else 0
                again = now + retry_delay(failures, after, self._jitter)
                if now >= self._paused_until:
                    self._failures += 1
                self._paused_until = max(self._paused_until, again)
                self._run.put_back(sink, leased, self._paused_until, reason)
            case Hold(reason):
                self._paused_until = now + PROBE_EVERY
                self._run.put_back(sink, leased, now, reason)
