"""What is known of one dbt invocation: its versions, its nodes, and what tells them apart."""

from __future__ import annotations

from collections import defaultdict, deque

from .buffer import Node, file_name
from .causes import Causes, hook_kind


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
        self.is_cancelled = False
        self.announced: int | None = None
        self.artifacts: dict[str, str] = {}
        self.nodes: dict[str, Node] = {}
        self.causes = Causes()
        self.has_node_events = False
        self.titles: dict[str, tuple[str, str]] = {}
        self.described: list[Node] = []
        """Nodes whose title may be new since an error text was last looked up."""
        self._by_title: dict[tuple[str, str], Node] = {}
        self._hooks: defaultdict[str | None, deque[Node]] = defaultdict(deque)

    def node(self, unique_id: str) -> Node:
        node = self.nodes.get(unique_id)
        if node is None:
            node = self.nodes[unique_id] = Node(unique_id)
            if unique_id.startswith("operation."):
                self._hooks[hook_kind(unique_id)].append(node)
        return node

    def titled(self, name: str, path: str) -> Node | None:
        """The node of an error text that says only its name and the path of its file."""
        for node in self.described:
            if node.title is not None:
                self._by_title.setdefault(node.title, node)
        self.described.clear()
        return self._by_title.get((name, file_name(path)))

    def running_hook(self, kind: str) -> Node | None:
        """The first hook at the `start` or the `end` that has started and not ended."""
        hooks = self._hooks[kind]
        while hooks and hooks[0].is_terminal:
            hooks.popleft()
        return next((h for h in hooks if h.running and not h.is_terminal), None)

    @property
    def missing(self) -> int | None:
        """How many of the nodes that dbt announced have not ended; None if it announced none.

        dbt counts no hooks and no ephemeral models. A build (dbt 1.8 and later) counts its unit
        tests only afterwards, in the `total` of each node and perhaps twice (up to 1.11): they are
        left out on both sides, as each runs with its model.
        """
        if self.announced is None:
            return None
        counted = [n for n in self.nodes.values() if n.is_announced]
        totals = (n.facts.get("total") or 0 for n in counted)
        if max(totals, default=0) > self.announced:
            counted = [n for n in counted if not n.unique_id.startswith("unit_test.")]
        return max(0, self.announced - sum(n.is_terminal for n in counted))

    def unfinished(self) -> list[Node]:
        """The nodes that started and have not ended, in that order."""
        return [n for n in self.nodes.values() if n.running and not n.is_terminal]
