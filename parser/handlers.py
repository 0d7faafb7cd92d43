"""A handler for each event that a record depends on. It changes the invocation or its nodes.

A handler gets the node of the event, if the event names one. It returns the changed node if that is
another.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from ..records.values import is_array, is_object, number, shallow, text, whole_numbers
from .artifacts import file_name
from .statuses import displayed_status, status_or_message
from .v2_handlers import end_in_v2, is_logged_error, logged_error, node_aborted, node_executing

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..records.values import JsonObject
    from .buffer import NodeBuffer
    from .events import Event
    from .invocation import Invocation

    Handler = Callable[[Invocation, Event, NodeBuffer | None], NodeBuffer | None]

FAIL_FAST: Final = "fail_fast"
"""A word in the messages of dbt 1.x under --fail-fast, about the nodes that it skips and about some
nodes that succeeded. It is also the `skip_cause` of such a skip."""
_WORKER_PREFIX: Final = "Exception on worker thread. "
_IN_NODE: Final = re.compile(r"in (\w+) (\S+) \(([^)\n]+)\)")
_TITLE_END: Final = 1000
"""Characters at the beginning of an error text in which dbt names the node."""
_FAILED_HOOK: Final = re.compile(r"on-run-(start|end) failed, error:")


def _version(invocation: Invocation, event: Event, _: NodeBuffer | None) -> None:
    invocation.version = (text(event.data.get("version")) or "").lstrip("=") or None


def _adapter(invocation: Invocation, event: Event, _: NodeBuffer | None) -> None:
    name, version = text(event.data.get("adapter_name")), text(event.data.get("adapter_version"))
    if name is not None:
        invocation.adapter = name + (version or "")


def _announcement(invocation: Invocation, event: Event, _: NodeBuffer | None) -> None:
    invocation.announced = number(event.data.get("node_count"))


def _artifact(invocation: Invocation, event: Event, _: NodeBuffer | None) -> None:
    path = text(event.data.get("artifact_path"))
    if path is not None:
        invocation.artifacts[file_name(path)] = path


def _invocation_error(invocation: Invocation, event: Event, _: NodeBuffer | None) -> None:
    invocation.error = text(event.data.get("exc")) or invocation.error


def _node_start(invocation: Invocation, event: Event, node: NodeBuffer | None) -> None:
    invocation.has_node_events = True
    if node is not None and event.node is not None:
        node.start(event.node)


def _start_line(invocation: Invocation, event: Event, node: NodeBuffer | None) -> None:
    if node is not None and event.node is not None:
        node.place(event.data.get("index"), event.data.get("total"))
        node.begin(text(event.node.get("node_started_at")))


def _node_finished(invocation: Invocation, event: Event, node: NodeBuffer | None) -> None:
    invocation.has_node_events = True
    result = event.data.get("run_result")
    if node is None or event.node is None or not is_object(result):
        return
    status = text(result.get("status"))
    if status in (None, "None") or not node.is_own_end(event.node):
        return
    node.is_provisional = False
    if invocation.is_v2:
        end_in_v2(invocation, event.node, node, status, result)
        return
    node.finish(
        status,
        event.node,
        {
            "message": result.get("message"),
            "execution_time": result.get("execution_time", 0.0),
            "thread": result.get("thread"),
            "failures": result.get("num_failures", 0),
            # dbt logs it as a protobuf Struct, whose numbers are floats: 12 rows are 12.0 there.
            "adapter_response": whole_numbers(shallow(result.get("adapter_response"))),
            "timing": finished_spans(result.get("timing_info")),
        },
    )


def _result_line(invocation: Invocation, event: Event, node: NodeBuffer | None) -> None:
    if node is None:
        return
    data = event.data
    node.place(data.get("index"), data.get("total") or data.get("num_models"))
    if node.is_terminal and not node.is_provisional:
        return
    if invocation.has_node_events:
        node.result_line = event
    else:
        end_by_result_line(invocation, event, node)


def end_by_result_line(invocation: Invocation, event: Event, node: NodeBuffer) -> None:
    """End a node with its result line, which has fewer facts than a NodeFinished."""
    info, data = event.node or {}, event.data
    shown = text(data.get("status")) or ""
    status = displayed_status(event.name, shown, text(info.get("node_status")) or "")
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
            "failures": data.get("num_failures", 0),
        },
    )


def _hook_end(invocation: Invocation, event: Event, node: NodeBuffer | None) -> None:
    if node is None or event.node is None:
        return
    node.place(event.data.get("index"), event.data.get("total"))
    status = status_or_message(event)
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


def _batch_result(invocation: Invocation, event: Event, node: NodeBuffer | None) -> None:
    index = number(event.data.get("batch_index"))
    if node is not None and index is not None:
        node.end_batch(index, event.data.get("total_batches"), status_or_message(event))


def _batch_error(invocation: Invocation, event: Event, node: NodeBuffer | None) -> None:
    message = text(event.data.get("exc"))
    if node is not None and message is not None:
        node.fail(message.removeprefix(_WORKER_PREFIX))


def _cancel(invocation: Invocation, event: Event, _: NodeBuffer | None) -> NodeBuffer | None:
    name = text(event.data.get("conn_name"))
    if name is None:
        return None
    node = invocation.node(name)
    node.cancel(event.ts)
    return node


def _error_title(invocation: Invocation, event: Event, node: NodeBuffer | None) -> None:
    name, path = text(event.data.get("node_name")), text(event.data.get("path"))
    if node is None and name and path:
        invocation.titles[event.thread] = (name, path)


def _error_text(invocation: Invocation, event: Event, node: NodeBuffer | None) -> NodeBuffer | None:
    message = text(event.data.get("msg"))
    title = invocation.titles.pop(event.thread, None)
    if message is None:
        return node
    if node is not None and event.name == "RunResultError" and FAIL_FAST not in message:
        node.fail(message)
        return node
    node = node or _node_of_error(invocation, message, title)
    if node is not None:
        node.explain(message)
    return node


def _node_of_error(
    invocation: Invocation, message: str, title: tuple[str, str] | None
) -> NodeBuffer | None:
    """The node of an error text without `node_info`: all nodes in dbt 1.7, hooks up to 1.8.

    A hook that does not compile has no node, so its text is the error of the invocation.
    """
    hook = _FAILED_HOOK.match(message)
    if hook is not None:
        node = invocation.running_hook(hook[1])
        if node is None:
            invocation.error = invocation.error or message
            return None
        node.finish("error", {}, {})
        return node
    named = _IN_NODE.search(message, 0, _TITLE_END)
    name, path = title or ((named[2], named[3]) if named else ("", ""))
    return invocation.node_titled(name, path)


_HANDLERS: Final[dict[str, Handler]] = {
    "MainReportVersion": _version,
    "AdapterRegistered": _adapter,
    "ArtifactWritten": _artifact,
    "ConcurrencyLine": _announcement,
    "MainEncounteredError": _invocation_error,
    "RunningOperationCaughtError": _invocation_error,
    "NodeStart": _node_start,
    "NodeFinished": _node_finished,
    "NodeExecuting": node_executing,
    "NodeAborted": node_aborted,
    "LogStartLine": _start_line,
    "LogHookStartLine": _start_line,
    "LogHookEndLine": _hook_end,
    "LogModelResult": _result_line,
    "LogTestResult": _result_line,
    "LogSeedResult": _result_line,
    "LogSnapshotResult": _result_line,
    "LogFunctionResult": _result_line,
    "LogFreshnessResult": _result_line,
    "LogNodeNoOpResult": _result_line,
    "SkippingDetails": _result_line,
    "LogBatchResult": _batch_result,
    "GenericExceptionOnRun": _batch_error,
    "LogCancelLine": _cancel,
    "RunResultFailure": _error_title,
    "RunResultWarning": _error_title,
    "RunResultError": _error_text,
    "RunResultWarningMessage": _error_text,
    "Generic": logged_error,
}


def handler_of(event: Event) -> Handler | None:
    """The handler of this event; None if no record depends on the event."""
    handler = _HANDLERS.get(event.name)
    return logged_error if handler is None and is_logged_error(event) else handler


def finished_spans(spans: Any) -> list[JsonObject] | None:
    """The compile and execute times of a node as dbt logs them, without unfinished ones."""
    if not is_array(spans):
        return None
    timed: list[JsonObject] = [s for s in spans if is_object(s) and "" not in s.values()]
    return timed or None
