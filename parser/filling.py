"""What `run_results.json` adds to what the log says of an invocation's nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..records.outcomes import SUCCESSFUL, is_successful
from ..records.values import text
from .handlers import FAIL_FAST, timing

if TYPE_CHECKING:
    from ..records.values import JsonObject
    from .artifacts import RunResults
    from .buffer import Node
    from .invocation import Invocation


def fill(invocation: Invocation, results: RunResults) -> list[Node]:
    """Take from `run_results.json` the nodes that the log did not end, and what contradicts a
    success of the log. Everything else the log knows better."""
    is_fail_fast = any(n.is_terminal and n.outcome == "failure" for n in invocation.nodes.values())
    filled: list[Node] = []
    for unique_id, result in results.results.items():
        node, status = invocation.node(unique_id), text(result.get("status"))
        if status is None:
            continue
        node.is_listed = True
        if invocation.is_cancelled:
            _fill_cancelled(node, status, result, is_fail_fast=is_fail_fast)
        elif not node.is_terminal:
            _fill_gap(invocation, node, status, result)
        else:
            _compare(node, status, text(result.get("message")))
        filled.append(node)
    return filled


def _fill_gap(invocation: Invocation, node: Node, status: str, result: JsonObject) -> None:
    message = text(result.get("message"))
    if node.unique_id.startswith("macro."):  # run-operation: the text is only in the log
        message = message or invocation.error
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


def _compare(node: Node, status: str, message: str | None) -> None:
    """What the file says of a node that the log has ended."""
    if node.outcome in SUCCESSFUL:
        # Under --fail-fast dbt 1.x calls nodes skipped that the log shows succeeding, and dbt v2
        # calls an ephemeral model skipped.
        is_known = FAIL_FAST in (message or "") or node.status == "no-op"
        if not is_successful(status) and not (status == "skipped" and is_known):
            node.finish(status, {}, {"message": message})
    elif message and not node.is_explained:
        node.explain(message)


def _fill_cancelled(node: Node, status: str, result: JsonObject, *, is_fail_fast: bool) -> None:
    """What the file says of a node of a run that dbt v2 cancelled: an error, whatever became of it.

    dbt cancels a run when it is told to stop, and under --fail-fast after a failure. Only in the
    latter case a success of the log is beyond doubt.
    """
    if node.is_terminal:
        if node.outcome in SUCCESSFUL and not is_successful(status) and not is_fail_fast:
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
