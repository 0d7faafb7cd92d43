"""Compares an invocation with its `run_results.json`: fills gaps, and finds contradictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..records.outcomes import REPEATS_STATUS, SUCCESSFUL, is_successful
from ..records.values import text
from .handlers import FAIL_FAST, finished_spans
from .skip_causes import hook_kind

if TYPE_CHECKING:
    from ..records.values import JsonObject
    from .artifacts import RunResults
    from .buffer import NodeBuffer
    from .invocation import Invocation


def reconcile(invocation: Invocation, results: RunResults) -> list[NodeBuffer]:
    """Take results for nodes that the log did not end, and results that contradict a success.

    In every other case the log knows more than the file. Returns the nodes that the file
    lists, without the released ones that it confirms.
    """
    is_fail_fast = any(n.is_terminal and n.outcome == "failure" for n in invocation.nodes.values())
    has_failed_hook = any(hook_kind(h.unique_id) == "start" for h in invocation.failed_hooks())
    listed: list[NodeBuffer] = []
    for unique_id, result in results.results.items():
        node, status = invocation.node(unique_id), text(result.get("status"))
        if status is None:
            continue
        node.is_listed = True
        if invocation.is_cancelled:
            _reconcile_cancelled(node, status, result, is_fail_fast=is_fail_fast)
        elif not node.is_terminal:
            if not _never_began(invocation, node, result):
                _fill_gap(invocation, node, status, result)
            elif has_failed_hook:
                _describe(node, result)
                node.finish("skipped", {}, {})
        else:
            _compare(node, status, text(result.get("message")))
        if not node.is_released:
            listed.append(node)
    return listed


def _never_began(invocation: Invocation, node: NodeBuffer, result: JsonObject) -> bool:
    """Whether the file calls a node an error only because dbt failed before it ran any.

    The file of dbt v2 lists the selected nodes then, each with the message `Compilation Error`.
    After a failed hook, dbt 1.x calls such nodes skipped.
    """
    is_general = text(result.get("message")) in REPEATS_STATUS
    is_error = result.get("status") == "error"
    return invocation.is_v2 and is_error and is_general and not node.has_begun


def _fill_gap(invocation: Invocation, node: NodeBuffer, status: str, result: JsonObject) -> None:
    message = text(result.get("message"))
    if node.unique_id.startswith("macro."):  # run-operation: only the log has the text
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
            "timing": finished_spans(result.get("timing")),
        },
    )


def _compare(node: NodeBuffer, status: str, message: str | None) -> None:
    """Compare the file with a node that the log has ended."""
    if node.outcome in SUCCESSFUL:
        # Under --fail-fast the file of dbt 1.x calls nodes skipped that have succeeded, and dbt v2
        # calls an ephemeral model skipped.
        is_expected = FAIL_FAST in (message or "") or node.status == "no-op"
        if not is_successful(status) and not (status == "skipped" and is_expected):
            node.finish(status, {}, {"message": message})
    elif message and not node.has_error_text:
        node.explain(message)


def _reconcile_cancelled(
    node: NodeBuffer, status: str, result: JsonObject, *, is_fail_fast: bool
) -> None:
    """Compare the file with a node of a run that dbt v2 cancelled. The file calls each an error.

    dbt v2 cancels a run when it is told to stop, and under --fail-fast after a failure. A success
    in the log is certain only under --fail-fast.
    """
    if node.is_terminal:
        if node.outcome in SUCCESSFUL and not is_successful(status) and not is_fail_fast:
            node.is_cancelled = True
            node.explain("dbt was stopped. Its log says success, but run_results.json does not")
    elif not node.is_running:
        _describe(node, result)
        if is_fail_fast:
            node.facts["skip_cause"] = FAIL_FAST
            node.finish("skipped", {}, {})
        else:
            node.explain("dbt was stopped before it ran this node")
            node.finish("interrupted", {}, {"artificial": True})


def _describe(node: NodeBuffer, result: JsonObject) -> None:
    node.describe(
        {
            "resource_type": node.unique_id.partition(".")[0],
            "node_relation": {"relation_name": result.get("relation_name")},
        }
    )
