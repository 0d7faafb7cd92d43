"""The fold of one dbt invocation: its events in, the nodes that they changed out."""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING

from .causes import Causes, hook_kind
from .error_text import ErrorText
from .handlers import FAIL_FAST, HANDLERS, end_by_line, logged_error, timing
from .node import Node, file_name
from .records import GOOD, is_good
from .values import text

if TYPE_CHECKING:
    from .events import Event
    from .results import RunResults
    from .values import JsonObject


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
        self._described: list[Node] = []
        self._by_title: dict[tuple[str, str], Node] = {}
        self._hooks: defaultdict[str | None, deque[Node]] = defaultdict(deque)

    def feed(self, event: Event) -> Node | None:
        """Fold one event; returns the node whose record may have changed by it."""
        handler = HANDLERS.get(event.name)
        if handler is None and _is_logged_error(event):
            handler = logged_error
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
        """Take from `run_results.json` the nodes that the log did not end, and what contradicts a
        success of the log. Everything else the log knows better."""
        is_fail_fast = any(n.is_terminal and n.outcome == "failure" for n in self.nodes.values())
        filled: list[Node] = []
        for unique_id, result in results.results.items():
            node, status = self.node(unique_id), text(result.get("status"))
            if status is None:
                continue
            node.is_listed = True
            if self.is_cancelled:
                _fill_cancelled(node, status, result, is_fail_fast=is_fail_fast)
            elif not node.is_terminal:
                self._fill_gap(node, status, result)
            else:
                _compare(node, status, text(result.get("message")))
            filled.append(node)
        return filled

    def _fill_gap(self, node: Node, status: str, result: JsonObject) -> None:
        message = text(result.get("message"))
        if node.unique_id.startswith("macro."):  # run-operation: the text is only in the log
            message = message or self.error
        if message and FAIL_FAST in message:
            node.facts["skip_cause"] = FAIL_FAST
        _describe(node, result)
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

    def finish(self, how: str) -> list[Node]:
        """End what has not ended; `how` begins the reason. Returns the nodes that changed."""
        for node in self.unfinished():
            if node.waiting is not None:
                end_by_line(self, node.waiting, node)
                continue
            if not node.is_explained:
                node.explain(f"{how} while this node was running")
            node.finish("interrupted", {}, {"artificial": True})
        for node in self.nodes.values():
            if node.has_failed and not node.is_terminal:
                # An ephemeral model: at level info only its error is logged.
                node.finish("error", {}, {})
        skipped = self.causes.settle(self.nodes.values())
        waiting = [n for n in self.nodes.values() if n.sent is None and n.is_terminal]
        return [*{n.unique_id: n for n in (*waiting, *skipped)}.values()]

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


def _compare(node: Node, status: str, message: str | None) -> None:
    """What the file says of a node that the log has ended."""
    if node.outcome in GOOD:
        # Under --fail-fast dbt 1.x calls nodes skipped that the log shows succeeding, and dbt v2
        # calls an ephemeral model skipped.
        is_known = FAIL_FAST in (message or "") or node.status == "no-op"
        if not is_good(status) and not (status == "skipped" and is_known):
            node.finish(status, {}, {"message": message})
    elif message and not node.is_explained:
        node.explain(message)


def _fill_cancelled(node: Node, status: str, result: JsonObject, *, is_fail_fast: bool) -> None:
    """What the file says of a node of a run that dbt v2 cancelled: an error, whatever became of it.

    dbt cancels a run when it is told to stop, and under --fail-fast after a failure. Only in the
    latter case a success of the log is beyond doubt.
    """
    if node.is_terminal:
        if node.outcome in GOOD and not is_good(status) and not is_fail_fast:
            node.is_cancelled = True
            node.explain("dbt was stopped: its log calls this node a success, its file does not")
    elif not node.running:
        _describe(node, result)
        if is_fail_fast:
            node.facts["skip_cause"] = FAIL_FAST
            node.finish("skipped", {}, {})
        else:
            node.explain("dbt was stopped before it ran this node")
            node.finish("interrupted", {}, {"artificial": True})


def _describe(node: Node, result: JsonObject) -> None:
    node.describe(
        {
            "resource_type": node.unique_id.partition(".")[0],
            "node_relation": {"relation_name": result.get("relation_name")},
        }
    )


def _is_logged_error(event: Event) -> bool:
    """Whether it is an error of dbt v2 under a name of its own.

    One of a node has a `node_info` with nothing but the id, one of the run has only its code.
    """
    if event.level != "error":
        return False
    if event.node is None:
        return bool(event.msg) and ErrorText.of(event.msg).code is not None
    return event.node.keys() == {"unique_id"}
