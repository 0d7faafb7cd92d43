"""The fold of a whole run: every invocation of dbt in one stream of events."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..records.age import start_after
from ..records.values import text
from .filling import fill
from .handlers import end_by_line, handler_of
from .invocation import Invocation

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..records.exits import Exit
    from ..records.schema import NodeRecord
    from .artifacts import RunResults
    from .buffer import Node
    from .events import Event
    from .lineage import Lineage


class Run:
    """Events in, records out: `feed` each event, then `finish`.

    One stream may hold several invocations (`dbt seed && dbt run`, an appended `dbt.log`): a
    MainReportVersion begins each. An event of an invocation that never began is not dbt's: it is
    refused and counted in `refused`; the caller shows it as the text that it is.

    An invocation starts after the one before it, whatever the clock said: that tells which record
    of a node is the newer. `since` is the latest start of those that are known from elsewhere.
    """

    def __init__(self, *, attempt: int | None = None, since: str | None = None) -> None:
        self.refused = 0
        self._latest = since
        self._attempt = attempt
        self._invocations: dict[str, Invocation] = {}
        self._current: Invocation | None = None

    @property
    def invocations(self) -> list[Invocation]:
        """In the order in which they began."""
        return list(self._invocations.values())

    @property
    def adapter(self) -> str | None:
        """The adapter of the last invocation, None before it is known."""
        return self.last.adapter if self.last is not None else None

    @property
    def last(self) -> Invocation | None:
        """The one that began last."""
        return next(reversed(self._invocations.values()), None)

    def invocation(self, invocation_id: str | None) -> Invocation | None:
        return self._invocations.get(invocation_id or "")

    @property
    def announced(self) -> int | None:
        """How many nodes dbt said it would run; None if it did not say. See `RunRecord`."""
        return _sum(i.announced for i in self._invocations.values())

    @property
    def missing(self) -> int | None:
        """How many of those have not ended."""
        return _sum(i.missing for i in self._invocations.values())

    def feed(self, event: Event) -> list[NodeRecord] | None:
        """The records that are new or changed by this event; None if the event is refused."""
        invocation = self._current
        if invocation is None or event.info.get("invocation_id") != invocation.id:
            invocation = self._current = self._invocation_of(event)
        if invocation is None:
            self.refused += 1
            return None
        node = _fold(invocation, event)
        return [] if node is None else self._publish(invocation, node)

    def fill(self, results: RunResults) -> list[NodeRecord]:
        """The records of nodes whose end only `run_results.json` tells.

        Results of an invocation that this run does not know are ignored: an old file.
        """
        invocation = self._invocations.get(results.invocation_id)
        if invocation is None:
            return []
        return self._publish(invocation, *fill(invocation, results))

    def trace(self, lineage: Lineage) -> None:
        """Tell skips apart by who depends on whom. A manifest of another invocation is ignored."""
        invocation = self._invocations.get(lineage.invocation_id)
        if invocation is not None:
            invocation.causes.trace(lineage)

    def finish(self, ended: Exit | None = None) -> list[NodeRecord]:
        """The records that are still missing when the stream has ended.

        `ended` is how dbt ended, None where only its log is known. Every node that started and did
        not end becomes `interrupted`, with the reason.
        """
        how = f"dbt {ended.describe()}" if ended is not None else "the log ends"
        records: list[NodeRecord] = []
        for invocation in self._invocations.values():
            records += self._publish(invocation, *_finish(invocation, how))
        return records

    def failed(self) -> list[NodeRecord]:
        """The records of the nodes that failed or were interrupted, in the order they ended.

        A node of several invocations goes by its latest end.
        """
        latest = {
            node.unique_id: node.sent
            for invocation in self._invocations.values()
            for node in invocation.nodes.values()
            if node.sent is not None
        }
        bad = (r for r in latest.values() if r.outcome in ("failure", "interrupted"))
        return sorted(bad, key=lambda r: r.finished_at or "")

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

    def _publish(self, invocation: Invocation, *nodes: Node) -> list[NodeRecord]:
        records: list[NodeRecord] = []
        for node in nodes:
            if not node.has_result:
                continue
            before = node.sent
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
                node.sent = record
                records.append(record)
        return records


def _fold(invocation: Invocation, event: Event) -> Node | None:
    """Fold one event; returns the node whose record may have changed by it."""
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


def _end(invocation: Invocation, node: Node, at: str) -> None:
    """A node has ended, or its end is told once more."""
    if node.ended_at is None:
        node.ended_at = at
    invocation.causes.learn(node)
    if node.facts["status"] == "skipped" and node.caused_by is None:
        node.caused_by = invocation.causes.of(node)


def _finish(invocation: Invocation, how: str) -> list[Node]:
    """End what has not ended; `how` begins the reason. Returns the nodes that changed."""
    for node in invocation.unfinished():
        if node.waiting is not None:
            end_by_line(invocation, node.waiting, node)
            continue
        if not node.is_explained:
            node.explain(f"{how} while this node was running")
        node.finish("interrupted", {}, {"artificial": True})
    for node in invocation.nodes.values():
        if node.has_failed and not node.is_terminal:
            # An ephemeral model: at level info only its error is logged.
            node.finish("error", {}, {})
    skipped = invocation.causes.settle(invocation.nodes.values())
    waiting = [n for n in invocation.nodes.values() if n.sent is None and n.is_terminal]
    return [*{n.unique_id: n for n in (*waiting, *skipped)}.values()]


def _sum(numbers: Iterable[int | None]) -> int | None:
    known = [n for n in numbers if n is not None]
    return sum(known) if known else None
