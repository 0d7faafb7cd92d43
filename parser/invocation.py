"""The fold of one dbt invocation: its events in, the nodes that they changed out."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING

from .causes import Causes, hook_kind
from .handlers import HANDLERS, end_by_line, timing
from .node import Node, file_name
from .records import outcome_of
from .values import text

if TYPE_CHECKING:
    from .events import Event
    from .results import RunResults


class Invocation:
    """One run of dbt, known by its `invocation_id`.

    A saved log at info level has no NodeStart and NodeFinished: then the result lines end a node.
    Where they are there, the result line before each NodeFinished only waits for it.
    """

    def __init__(self, invocation_id: str, started_at: str | None = None) -> None:
        self.id = invocation_id
        self.started_at = started_at
        self.version: str | None = None
        self.adapter: str | None = None
        self.error: str | None = None
        self.artifacts: dict[str, str] = {}
        self.nodes: dict[str, Node] = {}
        self.causes = Causes()
        self.has_node_events = False
        self.titles: dict[str, tuple[str, str]] = {}
        self._described: list[Node] = []
        self._by_title: dict[tuple[str, str], Node] = {}
        self._hooks: defaultdict[str | None, deque[Node]] = defaultdict(deque)

    def feed(self, event: Event) -> Node | None:
        """Fold one event; returns the node whose record may have changed by it."""
        handler = HANDLERS.get(event.name)
        if handler is None:
            return None
        node = None
        if event.node is not None and (unique_id := text(event.node.get("unique_id"))):
            node = self.nodes.get(unique_id) or self.node(unique_id)
            if node.describe(event.node):
                self._described.append(node)
        node = handler(self, event, node) or node
        if node is None or (status := node.status) is None:
            return None
        if status != "success" or node.ended_at is not None:
            self._end(node, event.ts)
        return node

    def _end(self, node: Node, at: str) -> None:
        """A node has ended, or its end is told once more."""
        if node.ended_at is None:
            node.ended_at = at
        self.causes.learn(node)
        if node.facts["status"] == "skipped" and node.caused_by is None:
            node.caused_by = self.causes.of(node)

    def node(self, unique_id: str) -> Node:
        node = self.nodes.get(unique_id)
        if node is None:
            node = self.nodes[unique_id] = Node(unique_id)
            if unique_id.startswith("operation."):
                self._hooks[hook_kind(unique_id)].append(node)
        return node

    def titled(self, name: str, path: str) -> Node | None:
        """The node of an error text that says only its name and the path of its file."""
        for node in self._described:
            if node.title is not None:
                self._by_title.setdefault(node.title, node)
        self._described.clear()
        return self._by_title.get((name, file_name(path)))

    def running_hook(self, kind: str) -> Node | None:
        """The first hook at the `start` or the `end` that has started and not ended."""
        hooks = self._hooks[kind]
        while hooks and hooks[0].is_terminal:
            hooks.popleft()
        return next((h for h in hooks if h.running and not h.is_terminal), None)

    def fill(self, results: RunResults) -> list[Node]:
        """Take from `run_results.json` the nodes that the log did not end.

        Gaps only: under `--fail-fast` the file says `skipped` of nodes that the log shows ending.
        """
        filled: list[Node] = []
        for unique_id, result in results.results.items():
            node = self.node(unique_id)
            status, message = text(result.get("status")), text(result.get("message"))
            if status is None:
                continue
            if unique_id.startswith("macro."):  # run-operation: the text is only in the log
                message = message or self.error
            if not node.is_terminal:
                node.describe(
                    {
                        "resource_type": unique_id.partition(".")[0],
                        "node_relation": {"relation_name": result.get("relation_name")},
                    }
                )
                if message and "fail_fast" in message:
                    node.facts["skip_cause"] = "fail_fast"
                node.finish(
                    status,
                    {},
                    {
                        "message": message,
                        "execution_time": result.get("execution_time"),
                        "thread": result.get("thread_id"),
                        "failures": result.get("failures"),
                        "adapter_response": result.get("adapter_response"),
                        "timing": timing(result.get("timing")),
                    },
                )
            elif message and outcome_of(node.status or "") != "success":
                node.explain(message)
            filled.append(node)
        return filled

    def finish(self, how: str) -> list[Node]:
        """End what has not ended; `how` begins the reason. Returns the nodes that changed."""
        for node in self.unfinished():
            if node.waiting is not None:
                end_by_line(self, node.waiting, node)
                continue
            node.explain(f"{how} while this node was running")
            node.finish("interrupted", {}, {"artificial": True})
        skipped = self.causes.settle(self.nodes.values())
        waiting = [n for n in self.nodes.values() if n.sent is None and n.is_terminal]
        return [*{n.unique_id: n for n in (*waiting, *skipped)}.values()]

    def unfinished(self) -> list[Node]:
        """The nodes that started and have not ended, in that order."""
        return [n for n in self.nodes.values() if n.running and not n.is_terminal]
