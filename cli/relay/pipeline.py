"""The pipeline of one run: dbt's bytes go in; text for a person and records come out."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ...parser.events import Event, Text
from ...parser.reader import EventReader
from ...parser.run import Run
from ...records.values import number
from ..dbt import target
from ..output.masking import print_fault
from ..output.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from pathlib import Path

    from ...parser.invocation import Invocation
    from ...parser.secrets import Secrets
    from ...records.exits import Exit
    from ...records.schema import NodeRecord
    from ..output.console import Console
    from ..output.progress import Progress

_WITHOUT_CHECKSUMS: Final = ("1.7.", "1.8.", "1.9.")
"""Versions of dbt whose log lacks `node_info.node_checksum`."""


class Pipeline:
    """Takes the log of one run.

    `publish` takes the records of a chunk of the log, before the chunk's lines are printed, and
    `recall` finds one of them by its unique_id. `begin` is called at each event. None of them may
    block. `complete` adds to a record what dbt's log does not say.

    `target_dir` is where dbt writes its artifacts if its log does not say. `since` is the latest
    start of the earlier invocations whose records are published again. With `renews` each record
    says that its node was run again by itself. With `awaits_event` nothing is printed before the
    first event. With `is_printed` nothing of the log is printed: dbt prints by itself. `progress`
    follows the run.
    """

    def __init__(
        self,
        console: Console,
        publish: Callable[[list[NodeRecord]], object],
        *,
        begin: Callable[[], object] = lambda: None,
        recall: Callable[[str], NodeRecord | None],
        secrets: Secrets,
        target_dir: Path,
        attempt: int | None = None,
        since: str | None = None,
        complete: Callable[[NodeRecord, Invocation], NodeRecord] | None = None,
        renews: bool = False,
        awaits_event: bool = False,
        is_printed: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self.run = Run(attempt=attempt, since=since)
        self.dbt_summary: str | None = None
        self.dbt_pid: int | None = None
        self._faults = 0
        self._secrets = secrets
        self._reader = EventReader(secrets, include_unread=console.shows_debug)
        self._console = console
        self._transcript = Transcript(console, awaits_event=awaits_event)
        self._is_printed = is_printed
        self._progress = progress
        self._begin = begin
        self._publish = publish
        self._recall = recall
        self._found: list[NodeRecord] = []
        """Records to publish at the end of the chunk."""
        self._target_dir = target_dir
        self._traced: set[str] = set()
        self._complete = complete
        self._renews = renews
        self._checksums: dict[str, dict[str, str]] = {}

    @property
    def malformed(self) -> int:
        """Events of the log that could not be read."""
        return self._reader.malformed

    @property
    def artifacts_dir(self) -> Path | None:
        """Where dbt's latest invocation writes its artifacts, once it has said so."""
        last = self.run.invocations[-1:]
        return target.folder(last[0]) if last else None

    @property
    def faults(self) -> int:
        """How often something of ours failed; dbt and the rest of its log went on."""
        return self._faults + self._reader.faults

    def feed(self, chunk: bytes) -> None:
        self._take(self._reader.feed(chunk))

    def end(self, ended: Exit | None) -> None:
        """The stream has ended: publish what only now is known."""
        self._take(self._reader.end())
        self._transcript.end()
        if self._progress is not None:
            self._progress.dbt_ended()
        for invocation in self.run.invocations:
            with self._guarded():
                results = target.run_results(invocation, self._target_dir)
                if results is not None:
                    self._collect(self.run.reconcile(results.masked(self._secrets)))
            with self._guarded():
                self._trace(invocation)
        with self._guarded():
            self._collect(self.run.finish(ended))
        self._send()

    @contextmanager
    def _guarded(self) -> Generator[None]:
        """dbt must not end, nor another record be lost, for a fault of ours."""
        try:
            yield
        except Exception as error:
            self._note(error)

    def _note(self, fault: Exception) -> None:
        if not self.faults:
            print_fault(fault)
        self._faults += 1

    def _take(self, items: Iterable[Event | Text]) -> None:
        before = self.faults
        with self._guarded():
            for item in items:
                try:
                    self._take_one(item)
                except Exception as error:
                    self._note(error)
        if self._reader.fault is not None and not before:
            print_fault(self._reader.fault)
        self._send()

    def _take_one(self, item: Event | Text) -> None:
        if isinstance(item, Text):
            if not self._is_printed:
                self._transcript.text(item)
            return
        records: list[NodeRecord] | None = []
        try:
            records = self.run.feed(item)
        except Exception as error:  # the line is shown all the same
            self._note(error)
        if records is None:
            if not self._is_printed:
                self._transcript.refused(item)
            return
        self._begin()
        self.dbt_pid = number(item.info.get("pid")) or self.dbt_pid
        try:
            if not self._is_printed:
                self._transcript.event(item)
        except Exception as error:  # the record is sent all the same
            self._note(error)
        if item.name == "StatsLine":
            self.dbt_summary = item.msg
        self._collect(records)
        if self._progress is not None:
            self._progress.take(self.run, item, records)
        # The first failure is when a skip may follow, whose cause the manifest tells.
        if records and records[-1].outcome == "failure":
            invocation = self.run.invocation(records[-1].invocation_id)
            if invocation is not None:
                self._trace(invocation)

    def _collect(self, records: list[NodeRecord]) -> None:
        for record in records:
            try:
                known = self._with_checksum(record)
                if self._renews:
                    known = replace(known, renewed=True)
                self._found.append(self._completed(known))
            except Exception as error:  # the others are sent all the same
                self._note(error)

    def _send(self) -> None:
        """Publish the records that were found, and then print the lines that were read."""
        found, self._found = self._found, []
        if found:
            with self._guarded():
                self._publish(found)
                self.run.release(found, self._recall)
        self._console.flush()

    def _with_checksum(self, record: NodeRecord) -> NodeRecord:
        """The record, with the checksum of its code where only dbt's manifest has it."""
        version = record.dbt_version or ""
        if record.checksum is not None or not version.startswith(_WITHOUT_CHECKSUMS):
            return record
        invocation = self.run.invocation(record.invocation_id)
        if invocation is None:
            return record
        if invocation.id not in self._checksums:
            self._checksums[invocation.id] = target.checksums(invocation, self._target_dir)
        return replace(record, checksum=self._checksums[invocation.id].get(record.unique_id))

    def _completed(self, record: NodeRecord) -> NodeRecord:
        invocation = self.run.invocation(record.invocation_id)
        if self._complete is None or invocation is None:
            return record
        return self._complete(record, invocation)

    def _trace(self, invocation: Invocation) -> None:
        if invocation.id in self._traced or not any(
            n.published is not None and n.published.outcome == "failure"
            for n in invocation.nodes.values()
        ):
            return
        self._traced.add(invocation.id)
        lineage = target.lineage(invocation, self._target_dir)
        if lineage is not None:
            self.run.use_lineage(lineage)
