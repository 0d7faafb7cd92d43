"""The fold of a run: events in, records out, for every invocation of dbt in one stream."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ..records.age import start_after
from ..records.outcomes import FAILED
from ..records.values import text
from .handlers import end_by_result_line, handler_of
from .invocation import Invocation
from .reconcile import reconcile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..records.exits import Exit
    from ..records.schema import NodeRecord
    from .artifacts import RunResults
    from .buffer import NodeBuffer
    from .events import Event
    from .lineage import Lineage
    from .released import Recall

_ERRORS: Final = ("error", "runtime error")
"""Statuses of a node that dbt could not run, other than those of a test that found something."""


class Run:
    """Folds events into records: `feed` each event, then `finish`.

    One stream may hold several invocations (`dbt seed && dbt run`, an appended `dbt.log`). A
    MainReportVersion begins each of them. The run refuses an event of an invocation that never
    began, because a program other than dbt printed it; `refused` counts these events.

    Start times decide which record of a node is newer. So each invocation starts after the one
    before it, even if the clock was set back. `since` is the latest start time of an invocation
    outside this stream.
    """

    def __init__(self, *, attempt: int | None = None, since: str | None = None) -> None:
        self.refused = 0
        self._latest = since
        self._stopped_at: str | None = None
        self._attempt = attempt
        self._invocations: dict[str, Invocation] = {}
        self._current: Invocation | None = None

    @property
    def invocations(self) -> list[Invocation]:
        """The invocations in the order of their beginnings."""
        return list(self._invocations.values())

    @property
    def adapter(self) -> str | None:
        """The adapter of the last invocation; None before dbt names it."""
        return self.last.adapter if self.last is not None else None

    @property
    def last(self) -> Invocation | None:
        """The invocation that began last."""
        return next(reversed(self._invocations.values()), None)

    def invocation(self, invocation_id: str | None) -> Invocation | None:
        return self._invocations.get(invocation_id or "")

    @property
    def announced(self) -> int | None:
        """How many nodes dbt announced; None if it announced no number. See `RunRecord`."""
        return _sum(i.announced for i in self._invocations.values())

    @property
    def missing(self) -> int | None:
        """How many announced nodes have not ended; None if dbt announced no number."""
        return _sum(i.missing for i in self._invocations.values())

    def feed(self, event: Event) -> list[NodeRecord] | None:
        """The new and amended records after this event; None if the run refuses the event."""
        invocation = self._current
        if invocation is None or event.info.get("invocation_id") != invocation.id:
            invocation = self._current = self._invocation_of(event)
        if invocation is None:
            self.refused += 1
            return None
        node = _fold(invocation, event)
        return [] if node is None else self._publish(invocation, node)

    def stop(self, at: str) -> None:
        """Take the time (RFC 3339, UTC) at which dbt was told to stop.

        A node that ends in an error after it is interrupted, whatever the text of the error: the
        connections of its threads were closed.
        """
        self._stopped_at = self._stopped_at or at

    def reconcile(self, results: RunResults) -> list[NodeRecord]:
        """The new and amended records after a comparison with `run_results.json`.

        Ignores the file of an invocation outside this run: an old file.
        """
        invocation = self._invocations.get(results.invocation_id)
        if invocation is None:
            return []
        return self._publish(invocation, *reconcile(invocation, results))

    def use_lineage(self, lineage: Lineage) -> None:
        """Find the causes of skips with this lineage; ignores another run's lineage."""
        invocation = self._invocations.get(lineage.invocation_id)
        if invocation is not None:
            invocation.causes.use_lineage(lineage)

    def finish(self, ended: Exit | None = None) -> list[NodeRecord]:
        """The records that are still missing when the stream has ended.

        Every running node becomes `interrupted`, with the reason. `ended` is the end of dbt's
        process, None for a saved log.
        """
        how = f"dbt {ended.describe()}" if ended is not None else "the log ends"
        records: list[NodeRecord] = []
        for invocation in self._invocations.values():
            records += self._publish(invocation, *_finish(invocation, how))
        return records

    def release(self, records: Iterable[NodeRecord], recall: Recall) -> None:
        """Let go of records that are kept elsewhere, where `recall` finds them by unique_id.

        The run then needs a few hundred bytes for each of their nodes. It keeps the nodes that have
        not succeeded.
        """
        for record in records:
            invocation = self._invocations.get(record.invocation_id or "")
            if invocation is not None:
                invocation.nodes[record.unique_id].release(recall)

    def records(self) -> list[NodeRecord]:
        """The newest record of each node that is not released, in the order of their ends.

        For a node of several invocations the latest record counts.
        """
        latest = self._latest_nodes()
        found = [node.published for node in latest if node.published is not None]
        return sorted(found, key=lambda r: r.finished_at or "")

    def execution_times(self) -> dict[str, float]:
        """The seconds of each node that dbt has run."""
        nodes = [node for node in self._latest_nodes() if node.status != "skipped"]
        times = {node.unique_id: node.lasting("execution_time") for node in nodes}
        return {name: seconds for name, seconds in times.items() if seconds is not None}

    def failed(self) -> list[NodeRecord]:
        """The records of the nodes that failed or were interrupted, in the order of their ends."""
        return [r for r in self.records() if r.outcome in FAILED]

    def _latest_nodes(self) -> Iterable[NodeBuffer]:
        """The nodes with a record, each of the last invocation that ran it."""
        return {
            node.unique_id: node
            for invocation in self._invocations.values()
            for node in invocation.nodes.values()
            if node.is_released or node.published is not None
        }.values()

    def _invocation_of(self, event: Event) -> Invocation | None:
        invocation_id = event.invocation_id
        invocation = self._invocations.get(invocation_id)
        if invocation is not None or not invocation_id:
            return invocation
        if self._invocations and event.name != "MainReportVersion":
            return None
        started_at = start_after(event.ts or None, self._latest)
        self._latest = started_at or self._latest
        invocation = self._invocations[invocation_id] = Invocation(invocation_id, started_at)
        return invocation

    def _publish(self, invocation: Invocation, *nodes: NodeBuffer) -> list[NodeRecord]:
        records: list[NodeRecord] = []
        for node in nodes:
            if not node.has_result:
                continue
            before = node.published
            if self._stopped_at is not None and node.status in _ERRORS:
                node.cancel(self._stopped_at)
            record = node.record(
                invocation_id=invocation.id,
                invocation_started_at=invocation.started_at,
                dbt_version=invocation.version,
                attempt=self._attempt,
                sequence=before.sequence if before is not None else 1,
            )
            if record != before:
                if before is not None:
                    record = replace(record, sequence=before.sequence + 1)
                node.published = record
                records.append(record)
        return records


def _fold(invocation: Invocation, event: Event) -> NodeBuffer | None:
    """Fold one event. Returns the terminal node whose record it may change, if any."""
    handler = handler_of(event)
    if handler is None:
        return None
    node = None
    if event.node is not None and (unique_id := text(event.node.get("unique_id"))):
        node = invocation.nodes.get(unique_id) or invocation.node(unique_id)
        if node.describe(event.node):
            invocation.described.append(node)
    node = handler(invocation, event, node) or node
    if node is None or (status := node.status) is None:
        return None
    if status != "success" or node.ended_at is not None:
        _end(invocation, node, event.ts)
    return node


def _end(invocation: Invocation, node: NodeBuffer, at: str) -> None:
    """Take the end of a node, which dbt may report more than once."""
    if node.ended_at is None:
        node.ended_at = at
    invocation.causes.add_end(node)
    if node.facts["status"] == "skipped" and node.caused_by is None:
        node.caused_by = invocation.causes.cause_of(node)


def _finish(invocation: Invocation, how: str) -> list[NodeBuffer]:
    """End all nodes; `how` begins the reason for running ones. Returns the nodes that changed."""
    for node in invocation.unfinished():
        if node.result_line is not None:
            end_by_result_line(invocation, node.result_line, node)
            continue
        if not node.has_error_text:
            node.explain(f"{how} while this node was running")
        node.finish("interrupted", {}, {"artificial": True})
    for node in invocation.nodes.values():
        if node.has_failed and not node.is_terminal:
            # An ephemeral model: at level info dbt logs only its error.
            node.finish("error", {}, {})
    skipped = invocation.causes.settle(invocation.nodes.values())
    ended = [
        n
        for n in invocation.nodes.values()
        if n.published is None and n.is_terminal and not n.is_released
    ]
    return [*{n.unique_id: n for n in (*ended, *skipped)}.values()]


def _sum(numbers: Iterable[int | None]) -> int | None:
    known = [n for n in numbers if n is not None]
    return sum(known) if known else None
