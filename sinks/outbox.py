"""The outbox of one sink: worker threads that send the records of its queue."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ..records.schema import RunRecord
from .journal.database import ClosedError
from .journal.rows import NOT_SENT
from .patience import Patience
from .sink import Delivered, Hold, Rejected, Retry

if TYPE_CHECKING:
    from collections.abc import Callable

    from .journal.queue import Order
    from .journal.rows import Leased
    from .journal.run import JournalRun
    from .sink import Sink, Verdict

_CHECKPOINT_EVERY: Final = 500
"""Settled records between two checkpoints of the journal: one or two megabytes of its log."""
BATCH: Final = 50
"""Records at most that a sink has and whose delivery is not in the journal yet. A process that is
killed sends them again."""
BATCH_SECONDS: Final = 0.02
"""A sink that is slower than this has each delivery written at once."""
_PACE_OF: Final = 20
"""The pace is the mean over so many of the latest records."""
_LONGEST_SLEEP: Final = 3600.0
"""Seconds. The system's clock cannot wait for any number of seconds."""
_MOST_RETRIES_FIRST: Final = 3
"""After more failures than this the run record waits its turn like any other record."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What became of the records of one sink.

    The numbers count nodes, not the run record. `waiting` and `rejected` map keys to reasons.
    `run_record` is the reason why the sink does not have the run record; None if it has it. `pace`
    is how many seconds the sink took for each of its latest records; None if it has taken none.
    """

    sink: str
    records: int
    delivered: int
    waiting: dict[str, str]
    rejected: dict[str, str]
    run_record: str | None = None
    pace: float | None = None

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


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many nodes wait for a sink, and the sink's trouble if it has one."""

    sink: str
    waiting: int
    trouble: str | None


class Outbox:
    """Sends the records of one sink's queue. Each worker thread sends one record at a time."""

    def __init__(
        self,
        sink: Sink,
        run: JournalRun,
        clock: Callable[[], float],
        jitter: Callable[[float, float], float],
    ) -> None:
        self._sink = sink
        self._run = run
        self._queue = run.queue(sink.name)
        self._clock = clock
        self._changed = threading.Condition()
        self._patience = Patience(jitter)
        self._seconds: deque[float] = deque(maxlen=_PACE_OF)
        self._run_record_failures = 0
        self._hold: Hold | None = None
        """The last hold that asked a person to act; None once the sink works again."""
        self._has_answered = False
        self._delivered: list[Leased] = []
        """Records that the sink has, until the journal has that too."""
        self._written_at = clock()
        self._closed = False

    def start(self, workers: int) -> None:
        for number in range(min(workers, self._sink.most_workers)):
            name = f"relay-{self._sink.name}-{number}"
            threading.Thread(target=self._work, name=name, daemon=True).start()

    @property
    def name(self) -> str:
        return self._sink.name

    @property
    def has_answered(self) -> bool:
        """Whether the sink has taken or refused anything yet."""
        return self._has_answered

    def wake(self) -> None:
        """A record was put: a worker may send it."""
        with self._changed:
            self._changed.notify_all()

    def begin_flush(self, order: Order) -> None:
        """There is a deadline from now on: try every waiting record once more, in this order."""
        with self._changed:
            now = self._clock()
            self._patience.has_deadline = True
            self._patience.try_soon(now)
            self._queue.make_all_due(now, order)
            self._changed.notify_all()

    def end_flush(self) -> None:
        """There is no deadline any more."""
        with self._changed:
            self._patience.has_deadline = False

    def is_settled(self, deadline: float) -> bool:
        """Whether nothing more can be sent before the deadline."""
        with self._changed:
            self._write_delivered()
            if self._is_sending:
                return False
            ready = self._ready_at()
            return self._patience.is_hopeless or ready is None or ready > deadline

    def wait(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait(seconds)

    def figures(self) -> Figures:
        with self._changed:
            # Records that were not sent yet wait for the same trouble to end.
            trouble = self._patience.trouble or NOT_SENT
            self._write_delivered()
            account = self._queue.account()
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
                sum(self._seconds) / len(self._seconds) if self._seconds else None,
            )

    def backlog(self) -> Backlog:
        """What is left to do, from memory: nobody waits for the answer."""
        waiting = max(0, self._queue.count_nodes() - len(self._delivered))
        return Backlog(self.name, waiting, self._patience.trouble)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            with contextlib.suppress(ClosedError):
                self._write_delivered()
            is_sending = self._is_sending
        if not is_sending:
            self._sink.close()

    @property
    def _is_sending(self) -> bool:
        return self._queue.is_sending

    def _work(self) -> None:
        # A record that is on its way when the journal closes stays in the queue, and is sent again.
        with contextlib.suppress(ClosedError):
            self._send_all()
        if self._closed:
            # `close` left this to the worker, because a record was on its way.
            self._sink.close()

    def _send_all(self) -> None:
        for settled in itertools.count(1):
            leased = self._next()
            if leased is None:
                return
            began_at = self._clock()
            try:
                verdict = self._sink.send(leased.record)
            except Exception as error:  # a bug in a sink must not end the delivery
                verdict = Retry(f"{type(error).__name__} in the sink")
            with self._changed:
                self._settle(leased, verdict, began_at)
                self._changed.notify_all()
            if settled % _CHECKPOINT_EVERY == 0:
                self._run.checkpoint()

    def _next(self) -> Leased | None:
        with self._changed:
            while not self._closed:
                now = self._clock()
                ready = self._ready_at()
                if ready is not None and ready <= now:
                    leased = self._queue.lease(now)
                    if leased is not None:
                        return leased
                elif self._delivered:
                    self._write_delivered()
                    continue
                self._changed.wait(
                    None if ready is None else min(_LONGEST_SLEEP, max(0.0, ready - now))
                )
            return None

    def _ready_at(self) -> float | None:
        """The time at which a record may be sent; None if something else has to happen before."""
        if self._patience.trouble is not None and self._is_sending:
            return None  # one record at a time probes a sink in trouble
        due = self._queue.next_due()
        return None if due is None else max(due, self._patience.paused_until)

    def _settle(self, leased: Leased, verdict: Verdict, began_at: float) -> None:
        now = self._clock()
        self._patience.settle(verdict, now)
        self._has_answered = True
        if not isinstance(verdict, (Retry, Hold)):
            self._withdraw_hold()
        if not isinstance(verdict, Delivered):
            self._write_delivered()
        match verdict:
            case Delivered():
                self._seconds.append(now - began_at)
                self._delivered.append(leased)
                is_slow = now - self._written_at >= BATCH_SECONDS
                if is_slow or len(self._delivered) >= BATCH:
                    self._write_delivered()
                self._retry_run_record_first(leased)
            case Rejected(reason):
                self._queue.reject(leased, reason)
                self._retry_run_record_first(leased)
            case Retry() | Hold():
                reason = self._patience.trouble or verdict.reason
                if self._patience.is_held and isinstance(verdict, Hold):
                    self._hold = verdict
                self._queue.put_back(leased, self._due(), reason)
                self._run_record_failures += leased.record.key == RunRecord.key

    def _write_delivered(self) -> None:
        """Write to the journal what the sink has."""
        delivered, self._delivered = self._delivered, []
        if delivered:
            self._queue.acknowledge(*delivered)
        self._written_at = self._clock()

    def _due(self) -> float:
        """When a failed record is due: after all others, since the record may be at fault."""
        return self._clock() if self._patience.is_held else self._patience.paused_until

    def _withdraw_hold(self) -> None:
        """The sink works, so no person had to act. Correct the records whose reason says so."""
        if self._hold is not None:
            held, self._hold = self._hold, None
            self._queue.correct_reason(held.reason, held.seen or NOT_SENT)

    def _retry_run_record_first(self, leased: Leased) -> None:
        """The sink works: a run record that failed before is the next one to send."""
        if leased.record.key == RunRecord.key:
            self._run_record_failures = 0
        elif 0 < self._run_record_failures <= _MOST_RETRIES_FIRST:
            self._queue.put_run_record_first()
