"""The pipeline: dbt's bytes in; text for a person and records for the sinks out."""

from __future__ import annotations

import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ..parser.events import Event, EventReader, Text
from ..parser.run import Run
from . import artifacts
from .state import note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from ..parser.exits import Exit
    from ..parser.invocation import Invocation
    from ..parser.records import NodeRecord
    from ..parser.secrets import Secrets
    from .console import Console

NO_MANIFEST: Final = (
    "dbt's manifest.json of this run is not there to say which models its tests are of: sensors of "
    "Cosmos that watch tests go by the state of this task"
)


class Relay:
    """Feeds one run. `begin` is called at each event of dbt, before a line of it is printed;
    `publish` takes each record. Neither may block. `target_dir` is where dbt
    writes its artifacts if its log does not say; `since` is the latest start of the invocations
    before it whose records are published again; `with_tests` adds what a test is of to its record.
    """

    def __init__(
        self,
        console: Console,
        publish: Callable[[NodeRecord], object],
        *,
        begin: Callable[[], object] = lambda: None,
        secrets: Secrets,
        target_dir: Path,
        attempt: int | None = None,
        since: str | None = None,
        with_tests: bool = False,
    ) -> None:
        self.run = Run(attempt=attempt, since=since)
        self.dbt_summary: str | None = None
        self.dbt_pid: int | None = None
        self.faults = 0
        self._reader = EventReader(secrets, unread_too=console.shows_debug)
        self._console = console
        self._begin = begin
        self._publish = publish
        self._target_dir = target_dir
        self._traced: set[str] = set()
        self._with_tests = with_tests
        self._tested: dict[str, dict[str, dict[str, int]]] = {}

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
        self._begin()
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
            self._publish(self._testing(record) if self._with_tests else record)

    def _testing(self, record: NodeRecord) -> NodeRecord:
        """The record, of a test with the nodes that it tests. dbt's log does not name them, its
        manifest does, which is written before any node starts."""
        if not record.unique_id.startswith("test."):
            return record
        invocation = next((i for i in self.run.invocations if i.id == record.invocation_id), None)
        if invocation is None:
            return record
        if invocation.id not in self._tested:
            lineage = artifacts.lineage(invocation, self._target_dir)
            if lineage is None:
                note(NO_MANIFEST)
            self._tested[invocation.id] = lineage.tested() if lineage is not None else {}
        return replace(record, tests=self._tested[invocation.id].get(record.unique_id))

    def _trace(self, invocation: Invocation) -> None:
        if invocation.id in self._traced or not any(
            n.sent is not None and n.sent.outcome == "failure" for n in invocation.nodes.values()
        ):
            return
        self._traced.add(invocation.id)
        lineage = artifacts.lineage(invocation, self._target_dir)
        if lineage is not None:
            self.run.trace(lineage)
