"""One invocation of dbt: its versions, its nodes, and ways to find a node."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING

from ..records.dbt_version import is_v2
from .artifacts import file_name
from .buffer import NodeBuffer
from .skip_causes import SkipCauses, hook_kind

if TYPE_CHECKING:
    from collections.abc import Iterator


class Invocation:
    """One invocation of dbt, identified by its `invocation_id`.

    `error` is why it failed as a whole. dbt v2 may give several reasons: `error` is the first, and
    `more_errors` counts the others.

    `announced` is the number of nodes that dbt said it would run. `artifacts` maps a file name to
    the path that dbt wrote. `titles` has for each thread the name and path of a node whose error
    text follows. `described` lists nodes that may have a new title since the last search by title.

    A saved log at info level has no NodeStart and no NodeFinished, so a result line ends a node.
    With `has_node_events` a result line waits for the NodeFinished after it.
    """

    def __init__(self, invocation_id: str, started_at: str | None = None) -> None:
        self.id = invocation_id
        self.started_at = started_at
        self.version: str | None = None
        self.adapter: str | None = None
        self.error: str | None = None
        self.more_errors = 0
        self.is_cancelled = False
        self.announced: int | None = None
        self.artifacts: dict[str, str] = {}
        self.nodes: dict[str, NodeBuffer] = {}
        self.causes = SkipCauses()
        self.has_node_events = False
        self.titles: dict[str, tuple[str, str]] = {}
        self.described: list[NodeBuffer] = []
        self._by_title: dict[tuple[str, str], NodeBuffer] = {}
        self._hooks: defaultdict[str | None, deque[NodeBuffer]] = defaultdict(deque)

    @property
    def is_v2(self) -> bool:
        """Whether this is dbt v2, whose log has other facts than the log of 1.x."""
        return is_v2(self.version)

    def node(self, unique_id: str) -> NodeBuffer:
        """The node's buffer, a new one for a new node."""
        node = self.nodes.get(unique_id)
        if node is None:
            node = self.nodes[unique_id] = NodeBuffer(unique_id)
            if unique_id.startswith("operation."):
                self._hooks[hook_kind(unique_id)].append(node)
        return node

    def node_titled(self, name: str, path: str) -> NodeBuffer | None:
        """The node with this name and file name, for an error text without a unique_id.

        For a generic test dbt 1.7 names the YAML file, and not the test's own path.
        """
        for node in self.described:
            title = (node.lasting("name"), file_name(node.lasting("path")))
            self._by_title.setdefault(title, node)
        self.described.clear()
        found = self._by_title.get((name, file_name(path)))
        return found or self._by_title.get((name, f"{name}.sql"))

    def running_hook(self, kind: str) -> NodeBuffer | None:
        """The first running hook of a kind, `start` or `end`."""
        hooks = self._hooks[kind]
        while hooks and hooks[0].is_terminal:
            hooks.popleft()
        return next((h for h in hooks if h.is_running and not h.is_terminal), None)

    def failed_hooks(self) -> Iterator[NodeBuffer]:
        """The hooks that failed, in the order of their first events."""
        for node in self.nodes.values():
            is_hook = node.unique_id.startswith("operation.")
            if is_hook and node.is_terminal and node.outcome == "failure":
                yield node

    @property
    def missing(self) -> int | None:
        """How many announced nodes have not ended; None if dbt announced no number.

        dbt does not count hooks, and dbt 1.x no ephemeral models. A build (dbt 1.8 and later)
        announces its nodes without unit tests, and adds the unit tests to the `total` of each node,
        up to dbt 1.11 perhaps twice. Then unit tests do not count here either: each runs with its
        model.
        """
        if self.announced is None:
            return None
        counted = [n for n in self.nodes.values() if n.is_announced(by_v2=self.is_v2)]
        totals = (n.lasting("total") or 0 for n in counted)
        if max(totals, default=0) > self.announced:
            counted = [n for n in counted if not n.unique_id.startswith("unit_test.")]
        return max(0, self.announced - sum(n.is_terminal for n in counted))

    def running(self) -> dict[str, str]:
        """The start of each node that runs, by unique_id, without hooks. Any thread may ask."""
        nodes = [*self.nodes.values()]  # at once, as the dict grows meanwhile
        running = (n for n in nodes if n.is_running and not n.is_terminal)
        # dbt v2 starts a node as soon as its parents have ended, and executes it later.
        starts = ((n.unique_id, n.run_started_at if self.is_v2 else n.first_start) for n in running)
        return {unique_id: start for unique_id, start in starts if start}

    def unfinished(self) -> list[NodeBuffer]:
        """The running nodes, in the order of their first events."""
        return [n for n in self.nodes.values() if n.is_running and not n.is_terminal]
