"""`dbt-relay show --watch`: a run of another process on this machine, from the journal."""

from __future__ import annotations

import os
import sys
import time
from contextlib import nullcontext
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Final

from ..records.age import sortable_time
from ..records.display import in_one_line
from ..records.schema import NodeRecord
from ..sinks import Backlog
from ..sinks.journal import history
from ..sinks.journal.usual import usual
from .output.masking import print_fault
from .output.panel import Look, panel
from .output.progress import Progress
from .output.screen import Screen
from .output.streams import say
from .output.terminal import shows_panel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..sinks import Journal
    from ..sinks.journal.history import PastRun
    from ..sinks.journal.running import RunningNodes

_PAUSE: Final = 0.5
"""Seconds between two looks at the journal."""


class Follower:
    """Follows a run: `records` come as the run commits them, until it has ended or died.

    The journal knows which nodes have ended. The process of the run tells which ones run.
    """

    def __init__(
        self, journal: Journal, number: int, pause: Callable[[float], object] = time.sleep
    ) -> None:
        self.progress = Progress()
        self._journal = journal
        self._number = number
        self._pause = pause
        self._ended: dict[str, str] = {}
        """When each node ended, as a text that sorts."""
        self.past = history.past_run(journal, number)
        self._nodes = history.running_nodes(journal, number)

    def records(self) -> Iterator[NodeRecord]:
        """Each node's record as it is committed. LookupError if the run is deleted meanwhile."""
        try:
            yield from self._records()
        finally:
            if self._nodes is not None:
                self._nodes.forget()

    def _records(self) -> Iterator[NodeRecord]:
        seen = 0
        self.progress.use(usual(self._journal, self.past.info))
        while True:
            # Before the records: a run that ends meanwhile has its last records in the next round.
            past = self.past = history.past_run(self._journal, self._number)
            self.progress.announce(past.record.announced if past.record is not None else None)
            if past.state != "running":
                self.progress.dbt_ended()
            for row, record in history.records_after(self._journal, self._number, seen):
                seen = row
                if isinstance(record, NodeRecord):
                    if not self.progress.has_begun:
                        self.progress.began(_seconds_since(record.started_at))
                    self.progress.record(record)
                    self._ended[record.unique_id] = sortable_time(record.finished_at or "")
                    yield record
            if past.state != "running" and not (past.has_owner and past.is_waiting):
                return
            if self._nodes is not None and past.state == "running":
                running = self._running(self._nodes)
                if running and not self.progress.has_begun:
                    self.progress.began(max(running.values()))
                self.progress.run_now(running)
            self._pause(_PAUSE)

    def _running(self, nodes: RunningNodes) -> dict[str, float]:
        """The nodes that run and for how many seconds. The answer may be older than the records."""
        return {
            unique_id: _seconds_since(start)
            for unique_id, start in nodes.ask().items()
            if sortable_time(start) > self._ended.get(unique_id, "")
        }

    def draw(self, colours: bool) -> Callable[[int, int], Sequence[str]]:
        """The panel of the run, for standard output."""
        look = Look.on(sys.stdout, colours=colours)

        def draw(columns: int, rows: int) -> Sequence[str]:
            delivery = self.past.delivery.items()
            backlogs = [Backlog(sink, counts.get("waiting", 0), None) for sink, counts in delivery]
            return panel(self.progress.status(backlogs), columns, rows, look)

        return draw


def follow(journal: Journal, past: PastRun, *, wanted: bool | None) -> PastRun:
    """Print a line for each node until the run ends, above a panel if there is a terminal.

    Returns the run as it ended. `wanted` is whether the user wants the panel.
    """
    follower = Follower(journal, past.number)
    screen = None
    if shows_panel(sys.stdout, os.environ, wanted=wanted):
        screen = Screen(sys.stdout.buffer)
    draw = follower.draw(colours="NO_COLOR" not in os.environ)
    with screen.showing(draw, print_fault) if screen is not None else nullcontext():
        for record in follower.records():
            if screen is not None:
                screen.write(f"{_line(record)}\n".encode("utf-8", "replace"))
            else:
                say(_line(record))
    return follower.past


def _seconds_since(timestamp: str | None) -> float:
    try:
        # Python 3.10 reads neither `Z` nor nine digits of a second.
        whole = datetime.fromisoformat((timestamp or "")[:19]).replace(tzinfo=timezone.utc)
    except ValueError:
        return 0.0
    return max(0.0, (datetime.now(timezone.utc) - whole).total_seconds())


def _line(record: NodeRecord) -> str:
    """A node that has ended, in one line."""
    at = (record.finished_at or "")[11:19]
    took = f"{record.execution_time:.2f} s" if record.execution_time is not None else ""
    return in_one_line(f"{at:<8}  {record.outcome:<11}  {took:>9}  {record.unique_id}")
