"""The pipeline: dbt's bytes in; text for a person and records for the sinks out."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from ..parser.events import Event, EventReader, Text
from ..parser.run import Run
from . import artifacts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from ..parser.exits import Exit
    from ..parser.invocation import Invocation
    from ..parser.records import NodeRecord
    from ..parser.secrets import Secrets
    from .console import Console


class Relay:
    """Feeds one run. `publish` takes each record and must not block; `target_dir` is where dbt
    writes its artifacts if its log does not say."""

    def __init__(
        self,
        console: Console,
        publish: Callable[[NodeRecord], object],
        *,
        secrets: Secrets,
        target_dir: Path,
        attempt: int | None = None,
    ) -> None:
        self.run = Run(attempt=attempt)
        self.dbt_summary: str | None = None
        self.dbt_pid: int | None = None
        self.faults = 0
        self._reader = EventReader(secrets, unread_too=console.shows_debug)
        self._console = console
        self._publish = publish
        self._target_dir = target_dir
        self._traced: set[str] = set()

    @property
    def malformed(self) -> int:
        """Events of the log that could not be read."""
        return self._reader.malformed

    def feed(self, chunk: bytes) -> None:
        self._take(self._reader.feed(chunk))

    def end(self, ended: Exit | None) -> None:
        """The stream has ended: publish what only now is known."""
        self._take(self._reader.end())
        for invocation in self.run.invocations:
            results = artifacts.run_results(invocation, self._target_dir)
            if results is not None:
                self._send(self.run.fill(results))
            self._trace(invocation)
        self._send(self.run.finish(ended))
        self._console.flush()

    def _take(self, items: Iterable[Event | Text]) -> None:
        for item in items:
            try:
                self._take_one(item)
            except Exception:  # dbt must not end for a fault of ours
                self.faults += 1
                if self.faults == 1:
                    traceback.print_exc()
        self._console.flush()

    def _take_one(self, item: Event | Text) -> None:
        records = self.run.feed(item) if isinstance(item, Event) else None
        if records is None or isinstance(item, Text):
            self._console.text(item.line)
            return
        pid = item.info.get("pid")
        if isinstance(pid, int):
            self.dbt_pid = pid
        self._console.event(item)
        if item.name == "StatsLine":
            self.dbt_summary = item.msg
        self._send(records)
        # The first failure is when a skip may follow, whose cause the manifest tells.
        if records and records[-1].outcome == "failure":
            self._trace(self.run.invocations[-1])

    def _send(self, records: list[NodeRecord]) -> None:
        for record in records:
            self._publish(record)

    def _trace(self, invocation: Invocation) -> None:
        if invocation.id in self._traced or not any(
            n.sent is not None and n.sent.outcome == "failure" for n in invocation.nodes.values()
        ):
            return
        self._traced.add(invocation.id)
        lineage = artifacts.lineage(invocation, self._target_dir)
        if lineage is not None:
            self.run.trace(lineage)
