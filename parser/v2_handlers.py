"""Handlers for what only dbt v2 logs, and for the end of a node in dbt v2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..records.values import text
from .v2_errors import NODE_CANCELLED, RUN_CANCELLED, V2Error
from .v2_results import message_of, relation_of, seconds_between

if TYPE_CHECKING:
    from ..records.values import JsonObject
    from .buffer import NodeBuffer
    from .events import Event
    from .invocation import Invocation


def node_executing(invocation: Invocation, event: Event, node: NodeBuffer | None) -> None:
    """Take the beginning of a node's run phase. dbt 1.x logs the event too, with other times."""
    if node is not None and event.node is not None and invocation.is_v2:
        node.run_started_at = text(event.node.get("node_started_at"))


def node_aborted(invocation: Invocation, event: Event, node: NodeBuffer | None) -> None:
    """Take the end of a run phase without an outcome. dbt may call such a node a success."""
    if node is not None:
        node.is_cancelled = True


def end_in_v2(
    invocation: Invocation, info: JsonObject, node: NodeBuffer, status: str, result: JsonObject
) -> None:
    """End a node of dbt v2. `execution_time` is the length of its run phase, as in the file."""
    node.is_listed = True  # dbt v2 lists ephemeral models too
    node.culprit = text(result.get("skipped_for"))
    node.facts["relation"] = relation_of(info, invocation.adapter)
    seconds = seconds_between(node.run_started_at, text(info.get("node_finished_at")))
    node.finish(
        status,
        info,
        {
            "message": result.get("message") or message_of(status),
            "execution_time": result.get("execution_time") if seconds is None else seconds,
            "failures": result.get("num_failures"),
            "adapter_response": result.get("adapter_response"),
            "error_type": result.get("error_type"),
        },
    )


def logged_error(
    invocation: Invocation, event: Event, node: NodeBuffer | None
) -> NodeBuffer | None:
    """Take an error of dbt v2: of a node before its end, or of the invocation.

    dbt v2 (preview 196) logs each error as `Generic`. Later versions may use the error's name.
    """
    if event.level != "error" or not event.msg:
        return node
    error = V2Error.parse(event.msg)
    if node is None:
        invocation.is_cancelled |= error.code == RUN_CANCELLED
        if error.code == RUN_CANCELLED:
            invocation.error = invocation.error or error.text
            return None
        invocation.more_errors += invocation.error is not None
        invocation.error = invocation.error or error.text
        # The telemetry names no hook for its error.
        hook = next((h for h in invocation.failed_hooks() if not h.has_error_text), None)
        if hook is not None:
            hook.explain(error.text)
        return hook
    node.fail(error.text)
    if error.code == NODE_CANCELLED:
        node.is_cancelled = True
    return node


def is_logged_error(event: Event) -> bool:
    """Whether the event is an error of dbt v2 under the error's own name.

    An error of a node has a `node_info` with only the unique_id. An error of the invocation has
    only its code.
    """
    if event.level != "error":
        return False
    if event.node is None:
        return bool(event.msg) and V2Error.parse(event.msg).code is not None
    return event.node.keys() == {"unique_id"}
