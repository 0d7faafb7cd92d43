"""The fold of one dbt invocation: its events in, the nodes that they changed out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from .node import Node, instant, number, text
from .records import outcome_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from .events import Event, JsonObject
    from .results import Lineage, RunResults

_STATUS_WORDS: Final = frozenset(
    {
        "success",
        "error",
        "skipped",
        "partial success",
        "no-op",
        "reused",
        "pass",
        "fail",
        "warn",
        "runtime error",
    }
)
_DISPLAYED: Final = {"ok": "success", "error stale": "error", "skip": "skipped", "": "no-op"}
_PARTIAL: Final = "partial success"
_WORKER_PREFIX: Final = "Exception on worker thread. "
_IN_NODE: Final = re.compile(r"in (\w+) (\S+) \(([^)\n]+)\)")
_FAILED_HOOK: Final = re.compile(r"(on-run-(?:start|end)) failed, error:")


class Invocation:
    """One run of dbt, known by its `invocation_id`.

    A saved log at info level has no NodeStart and NodeFinished: then the result lines end a node.
    Where they are there, the result line before each NodeFinished only waits for it.
    """

    def __init__(self, invocation_id: str) -> None:
        self.id = invocation_id
        self.version: str | None = None
        self.error: str | None = None
        self.artifacts: dict[str, str] = {}
        self.nodes: dict[str, Node] = {}
        self.lineage: Lineage | None = None
        self._latest: Event | None = None
        self._has_node_events = False
        self._titles: dict[str, tuple[str, str]] = {}

    def feed(self, event: Event) -> Node | None:
        """Fold one event; returns the node whose record may have changed by it."""
        self._latest = event
        handler = _HANDLERS.get(event.name)
        if handler is None:
            return None
        node = None
        if event.node is not None and (unique_id := text(event.node.get("unique_id"))):
            node = self.node(unique_id)
            node.describe(event.node)
        node = handler(self, event, node) or node
        return node if node is not None and node.is_terminal else None

    @property
    def latest_at(self) -> str | None:
        """The time of its latest event."""
        return self._latest.ts or None if self._latest is not None else None

    def node(self, unique_id: str) -> Node:
        node = self.nodes.get(unique_id)
        if node is None:
            node = self.nodes[unique_id] = Node(unique_id)
        return node

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
            if not node.is_terminal or node.is_provisional:
                node.describe({"resource_type": unique_id.partition(".")[0]})
                if message and "fail_fast" in message:
                    node.facts["skip_cause"] = "fail_fast"
                node.describe({"node_relation": {"relation_name": result.get("relation_name")}})
                node.finish(
                    status,
                    {},
                    {
                        "message": message,
                        "execution_time": result.get("execution_time"),
                        "thread": text(result.get("thread_id")),
                        "failures": number(result.get("failures")),
                        "adapter_response": result.get("adapter_response") or None,
                        "timing": _timing(result.get("timing")),
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
                self._end_by_line(node.waiting, node)
                continue
            node.explain(f"{how} while this node was running")
            node.finish("interrupted", {}, {"artificial": True})
        skipped = [n for n in self.nodes.values() if n.status == "skipped"]
        for node in skipped:
            node.caused_by = self._culprit(node)
        waiting = [n for n in self.nodes.values() if n.sent is None and n.is_terminal]
        return [*{n.unique_id: n for n in (*waiting, *skipped)}.values()]

    def unfinished(self) -> list[Node]:
        """The nodes that started and have not ended, in that order."""
        return [n for n in self.nodes.values() if n.running and not n.is_terminal]

    def _culprit(self, skipped: Node) -> str | None:
        started = instant(skipped.facts.get("started_at") or "9")
        failed = [
            n.unique_id
            for n in self.nodes.values()
            if n.status and outcome_of(n.status) == "failure"
            if instant(n.facts.get("finished_at") or "") <= started
        ]
        if self.lineage is not None:
            return self.lineage.culprit(skipped.unique_id, failed)
        return failed[0] if len(failed) == 1 else None

    # The handlers: one for each event that a record depends on.

    def _version(self, event: Event, _: Node | None) -> None:
        self.version = (text(event.data.get("version")) or "").lstrip("=") or None

    def _artifact(self, event: Event, _: Node | None) -> None:
        path = text(event.data.get("artifact_path"))
        if path is not None:
            self.artifacts[path.replace("\\", "/").rpartition("/")[2]] = path

    def _invocation_error(self, event: Event, _: Node | None) -> None:
        self.error = text(event.data.get("exc")) or self.error

    def _node_start(self, event: Event, node: Node | None) -> None:
        self._has_node_events = True
        if node is not None and event.node is not None:
            node.start(event.node)

    def _start_line(self, event: Event, node: Node | None) -> None:
        if node is not None and event.node is not None:
            node.place(event.data.get("index"), event.data.get("total"))
            node.begin(text(event.node.get("node_started_at")))

    def _node_finished(self, event: Event, node: Node | None) -> None:
        self._has_node_events = True
        result = event.data.get("run_result")
        if node is None or event.node is None or not isinstance(result, dict):
            return
        status = text(result.get("status"))
        if status is None or not node.is_own_end(event.node):
            return
        node.is_provisional = False
        node.finish(
            status,
            event.node,
            {
                "message": text(result.get("message")),
                "execution_time": result.get("execution_time", 0.0),
                "thread": text(result.get("thread")),
                "failures": number(result.get("num_failures", 0)),
                "adapter_response": result.get("adapter_response") or None,
                "timing": _timing(result.get("timing_info")),
            },
        )
        if status == "skipped":
            node.caused_by = self._culprit(node)

    def _result_line(self, event: Event, node: Node | None) -> None:
        if node is None:
            return
        data = event.data
        node.place(data.get("index"), data.get("total") or data.get("num_models"))
        if node.is_terminal and not node.is_provisional:
            return
        if self._has_node_events:
            node.waiting = event
        else:
            self._end_by_line(event, node)

    def _end_by_line(self, event: Event, node: Node) -> None:
        info, data = event.node or {}, event.data
        shown = text(data.get("status")) or ""
        status = _displayed_status(event.name, shown, text(info.get("node_status")) or "")
        message = text(data.get("result_message"))
        if node.is_microbatch:
            message = shown.upper()
        elif event.name == "LogModelResult" and status == "success":
            message = shown
        elif event.name == "LogNodeNoOpResult":
            message = "NO-OP"
        node.is_provisional = True
        node.finish(
            status,
            info,
            {
                "message": message,
                "execution_time": data.get("execution_time"),
                "thread": event.thread or None,
                "failures": number(data.get("num_failures", 0)),
            },
        )
        if status == "skipped":
            node.caused_by = self._culprit(node)

    def _hook_end(self, event: Event, node: Node | None) -> None:
        if node is None or event.node is None:
            return
        node.place(event.data.get("index"), event.data.get("total"))
        status = _displayed_status(event.name, text(event.data.get("status")) or "", "")
        statement = text(event.data.get("statement"))
        passed = f"{statement} passed" if statement and status == "success" else None
        node.finish(
            status,
            event.node,
            {
                "message": passed,
                "execution_time": event.data.get("execution_time"),
                "thread": "main",
            },
        )

    def _batch_result(self, event: Event, node: Node | None) -> None:
        index = number(event.data.get("batch_index"))
        if node is not None and index is not None:
            shown = text(event.data.get("status")) or ""
            status = _displayed_status(event.name, shown, "")
            node.batch(index, event.data.get("total_batches"), status)

    def _batch_error(self, event: Event, node: Node | None) -> None:
        message = text(event.data.get("exc"))
        if node is not None and message is not None:
            node.except_(message.removeprefix(_WORKER_PREFIX))

    def _cancel(self, event: Event, _: Node | None) -> Node | None:
        name = text(event.data.get("conn_name"))
        if name is None:
            return None
        node = self.node(name)
        node.cancel(event.ts)
        return node

    def _v2_error(self, event: Event, node: Node | None) -> None:
        if node is not None and event.level == "error" and event.msg:
            node.explain(event.msg)

    def _error_title(self, event: Event, node: Node | None) -> None:
        name, path = text(event.data.get("node_name")), text(event.data.get("path"))
        if node is None and name and path:
            self._titles[event.thread] = (name, path)

    def _error_text(self, event: Event, node: Node | None) -> Node | None:
        message = text(event.data.get("msg"))
        title = self._titles.pop(event.thread, None)
        if message is not None:
            node = node or self._node_of_error(message, title)
            if node is not None:
                node.explain(message)
        return node

    def _node_of_error(self, message: str, title: tuple[str, str] | None) -> Node | None:
        """The node of an error text without `node_info`: every one of dbt 1.7, hooks up to 1.8."""
        hook = _FAILED_HOOK.match(message)
        if hook is not None:
            for node in self.unfinished():
                if node.facts.get("resource_type") == "operation" and hook[1] in node.unique_id:
                    node.finish("error", {}, {})
                    return node
        named = _IN_NODE.search(message)
        name, path = title or ((named[2], named[3]) if named else ("", ""))
        for node in self.nodes.values():
            own_path = node.facts.get("path") or "\0"
            if node.facts.get("name") == name and path.endswith(own_path.rpartition("/")[2]):
                return node
        return None


_HANDLERS: Final[dict[str, Callable[[Invocation, Event, Node | None], Node | None]]] = {
    "MainReportVersion": Invocation._version,
    "ArtifactWritten": Invocation._artifact,
    "MainEncounteredError": Invocation._invocation_error,
    "RunningOperationCaughtError": Invocation._invocation_error,
    "NodeStart": Invocation._node_start,
    "NodeFinished": Invocation._node_finished,
    "LogStartLine": Invocation._start_line,
    "LogHookStartLine": Invocation._start_line,
    "LogHookEndLine": Invocation._hook_end,
    "LogModelResult": Invocation._result_line,
    "LogTestResult": Invocation._result_line,
    "LogSeedResult": Invocation._result_line,
    "LogSnapshotResult": Invocation._result_line,
    "LogFunctionResult": Invocation._result_line,
    "LogFreshnessResult": Invocation._result_line,
    "LogNodeNoOpResult": Invocation._result_line,
    "SkippingDetails": Invocation._result_line,
    "LogBatchResult": Invocation._batch_result,
    "GenericExceptionOnRun": Invocation._batch_error,
    "LogCancelLine": Invocation._cancel,
    "RunResultFailure": Invocation._error_title,
    "RunResultWarning": Invocation._error_title,
    "RunResultError": Invocation._error_text,
    "RunResultWarningMessage": Invocation._error_text,
    "Generic": Invocation._v2_error,
}


def _displayed_status(event: str, shown: str, node_status: str) -> str:
    """The status behind a result line, whose own `status` is made for the eye.

    For a model that succeeded it is the adapter's message (`OK`, `SELECT 10`).
    """
    if event == "SkippingDetails":
        return "skipped"
    if node_status in _STATUS_WORDS:
        return node_status
    word = shown.lower()
    if word.startswith(_PARTIAL):
        return _PARTIAL
    return _DISPLAYED.get(word, word)


def _timing(spans: Any) -> list[JsonObject] | None:
    if not isinstance(spans, list):
        return None
    timed: list[JsonObject] = [s for s in spans if isinstance(s, dict) and "" not in s.values()]
    return timed or None
