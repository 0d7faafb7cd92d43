"""How far a run of dbt is: what its events and records have told so far."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ...records.dbt_version import is_v2
from ...records.outcomes import FAILED, OUTCOMES
from ...records.values import number
from ...sinks.journal.usual import Usual
from .forecast import Forecast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ...parser.events import Event
    from ...parser.run import Run
    from ...records.outcomes import Outcome
    from ...records.schema import NodeRecord
    from ...sinks import Backlog

_FAILURES: Final = 3
"""How many of the latest failures are kept."""
_STARTS: Final = frozenset({"NodeStart", "NodeExecuting", "LogHookStartLine"})
_ENDS: Final = frozenset({"NodeFinished", "LogHookEndLine"})
_TOLD: Final = _STARTS | _ENDS | {"ConcurrencyLine", "LogStartLine"}
_HOOKS: Final = ("operation.", "macro.")
_UNIT_TESTS: Final = "unit_test."


@dataclass(frozen=True, slots=True)
class Running:
    """A node that runs: for how many seconds, and how many it usually takes, if that is known."""

    unique_id: str
    thread: str
    seconds: float
    usual: float | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """A run at one moment.

    `done` of `total` nodes have ended; `total` is None if dbt announced no number. `seconds` is the
    time since the first node began, `left` the time that the run may still take, if that can be
    told. `running` has the longest first, `failures` the latest last. `backlogs` has one for each
    sink. `is_over` says that dbt has ended.
    """

    done: int
    total: int | None
    outcomes: Mapping[str, int]
    seconds: float
    left: float | None = None
    running: Sequence[Running] = ()
    failures: Sequence[NodeRecord] = ()
    backlogs: Sequence[Backlog] = ()
    is_over: bool = False


class Progress:
    """Follows a run. One thread reports events, another asks for the `status`.

    Each event costs the same, however many nodes there are.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._announced: int | None = None
        self._most_total = 0
        self._began_at: float | None = None
        self._running: dict[str, tuple[str, float]] = {}
        """The thread and the start of each node."""
        self._outcomes: dict[str, Outcome] = {}
        self._counts: Counter[Outcome] = Counter()
        self._done = 0
        self._unit_tests = 0
        self._worked = 0.0
        self._failures: dict[str, NodeRecord] = {}
        self._forecast = Forecast(Usual(), ())
        self._is_over = False

    @property
    def has_begun(self) -> bool:
        """Whether dbt has begun a node."""
        return self._began_at is not None

    def take(self, run: Run, event: Event, records: Sequence[NodeRecord]) -> None:
        """Take an event that the run has folded, and the records that came of it."""
        if not (records or event.name in _TOLD):
            return
        with self._lock:
            if event.name == "ConcurrencyLine":
                self._announced = run.announced
            elif event.name == "LogStartLine":
                self._most_total = max(self._most_total, number(event.data.get("total")) or 0)
            elif event.name in _STARTS:
                self._start(run, event)
            elif event.name in _ENDS:
                self._end(run, event)
            for record in records:
                self._record(record)

    def use(self, usual: Usual) -> None:
        """From now on tell usual times, and the time left if the run is like an earlier one."""
        with self._lock:
            self._forecast = Forecast(usual, self._outcomes)

    def began(self, seconds: float) -> None:
        """The run began so many seconds ago."""
        with self._lock:
            self._began_at = self._clock() - seconds

    def announce(self, nodes: int | None) -> None:
        """dbt announced so many nodes."""
        with self._lock:
            self._announced = nodes

    def run_now(self, since: Mapping[str, float]) -> None:
        """So many seconds ago these nodes began, and no others run."""
        with self._lock:
            now = self._clock()
            self._running = {name: ("", now - seconds) for name, seconds in since.items()}

    def record(self, record: NodeRecord) -> None:
        """Take a node that has ended."""
        with self._lock:
            self._record(record)

    def dbt_ended(self) -> None:
        with self._lock:
            self._is_over = True
            self._running.clear()

    def status(self, backlogs: Sequence[Backlog] = ()) -> Status:
        """The run at this moment. `backlogs` has one for each sink."""
        with self._lock:
            now = self._clock()
            seconds = now - self._began_at if self._began_at is not None else 0.0
            since = {name: now - at for name, (_, at) in self._running.items()}
            left = self._forecast.left(self._announced, self._worked, seconds, since)
            return Status(
                self._done_of_announced,
                self._announced,
                {outcome: self._counts[outcome] for outcome in OUTCOMES if self._counts[outcome]},
                seconds,
                left if not self._is_over else None,
                [
                    Running(name, thread, since[name], self._forecast.usual(name))
                    for name, (thread, _) in self._running.items()
                ],
                [*self._failures.values()],
                backlogs,
                self._is_over,
            )

    @property
    def _done_of_announced(self) -> int:
        """The ended nodes that dbt had counted for its announcement: see `Invocation.missing`."""
        if self._announced is None:
            return self._done
        counts_unit_tests = self._most_total <= self._announced
        done = self._done if counts_unit_tests else self._done - self._unit_tests
        return min(done, self._announced)

    def _start(self, run: Run, event: Event) -> None:
        invocation = run.last
        # dbt v2 starts a node as soon as its parents have ended, and executes it later.
        is_early = event.name == "NodeStart" and invocation is not None and invocation.is_v2
        if event.node is None or is_early:
            return
        now = self._clock()
        self._began_at = now if self._began_at is None else self._began_at
        # dbt v2 calls every thread `tokio-rt-worker`.
        thread = event.thread.partition(" ")[0] if event.thread.startswith("Thread-") else ""
        self._running.setdefault(str(event.node.get("unique_id")), (thread, now))

    def _end(self, run: Run, event: Event) -> None:
        """Take an end, which may be without a record: an ephemeral model has none."""
        if event.node is None or run.last is None:
            return
        name = str(event.node.get("unique_id"))
        node = run.last.nodes.get(name)
        if node is None or node.is_terminal:  # a batch ends under the name of its model
            self._running.pop(name, None)

    def _record(self, record: NodeRecord) -> None:
        name, before = record.unique_id, self._outcomes.get(record.unique_id)
        self._running.pop(name, None)
        self._most_total = max(self._most_total, record.total or 0)
        self._outcomes[name] = record.outcome
        self._counts[record.outcome] += 1
        if before is not None:
            self._counts[before] -= 1
        else:
            self._forecast.end(name)
        if record.sequence == 1:
            # dbt 1.x neither announces an ephemeral model, nor ends one except in `dbt compile`.
            is_v1 = record.dbt_version is not None and not is_v2(record.dbt_version)
            is_extra = record.materialized == "ephemeral" and is_v1
            self._done += not (is_extra or name.startswith(_HOOKS))
            self._unit_tests += name.startswith(_UNIT_TESTS)
            self._worked += record.execution_time or 0.0
        self._failures.pop(name, None)
        if record.outcome in FAILED:
            self._failures[name] = record
            if len(self._failures) > _FAILURES:
                del self._failures[next(iter(self._failures))]
