"""dbt v2's telemetry (`--log-format otel`, `--otel-file-name`), read as the events of its JSON log.

dbt v2 makes both from the same spans (crates/dbt-common/src/tracing/layers/json_compat_layer.rs).
The telemetry says more: how many nodes dbt will run, the failed node for which a node was skipped,
the rows that a node changed, the kind of an error, and whether a node's run came to its end. Its
fields are in crates/dbt-telemetry/include.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from ..records.values import is_object, number, text
from .spans import node_info, reason_for_reuse, status_of, times, timestamp, whole_number
from .v2_results import seconds_between

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..records.values import JsonObject

    Translated = tuple[str, str, JsonObject]
    """The name, the message and the data of an event."""
    Translation = Callable[[JsonObject, JsonObject], Translated | None]
    """Takes the attributes and the record. None if no node depends on the record."""

_RUN: Final = "EXECUTION_PHASE_RUN"
_NODE_HOOKS: Final = ("HOOK_TYPE_PRE_HOOK", "HOOK_TYPE_POST_HOOK")
_SHOWN: Final = {
    "success": "Succeeded",
    "pass": "Passed",
    "warn": "Warned",
    "error": "Failed",
    "fail": "Failed",
    "reused": "Reused",
    "no-op": "Skipped",
    "skipped": "Skipped",
    "cancelled": "Cancelled",
}


def event_in(record: JsonObject) -> tuple[JsonObject, JsonObject] | None:
    """The `info` and `data` of the event in a record of the telemetry; None if it is no record.

    A record that no node depends on becomes an event without data. An event without a message for
    a person has the level debug.
    """
    kind, attributes = text(record.get("event_type")), record.get("attributes")
    trace = text(record.get("trace_id"))
    if kind is None or trace is None or not is_object(attributes):
        return None
    kind = kind.rpartition(".")[2]
    translate = _TRANSLATIONS.get((text(record.get("record_type")) or "", kind))
    translated = translate(attributes, record) if translate is not None else None
    if translated is None:
        return {"name": kind, "level": "debug", "invocation_id": _uuid(trace)}, {}
    name, msg, data = translated
    time = record.get("end_time_unix_nano") or record.get("start_time_unix_nano")
    info = {
        "name": name,
        "level": (text(record.get("severity_text")) or "").lower() if msg else "debug",
        "msg": msg,
        "ts": timestamp(record.get("time_unix_nano") or time),
        "invocation_id": _uuid(trace),
    }
    return info, data


def _process(attributes: JsonObject, _: JsonObject) -> Translated:
    version = text(attributes.get("version")) or ""
    data = {"version": f"={version}"}
    return "MainReportVersion", f"Running with dbt-fusion={version}", data


def _query(attributes: JsonObject, _: JsonObject) -> Translated:
    return "AdapterRegistered", "", {"adapter_name": attributes.get("adapter_type")}


def _node_start(attributes: JsonObject, record: JsonObject) -> Translated | None:
    if attributes.get("in_selection") is False:
        return None
    return "NodeStart", "", {"node_info": node_info(attributes, record)}


def _run_start(attributes: JsonObject, _: JsonObject) -> Translated | None:
    if attributes.get("phase") != _RUN:
        return None
    return "ConcurrencyLine", "", {"node_count": whole_number(attributes.get("node_count_total"))}


def _node_run_start(attributes: JsonObject, record: JsonObject) -> Translated | None:
    if attributes.get("phase") != _RUN:
        return None
    return "NodeExecuting", "", {"node_info": node_info(attributes, record)}


def _node_run_end(attributes: JsonObject, _: JsonObject) -> Translated | None:
    if attributes.get("phase") != _RUN or "node_outcome" in attributes:
        return None
    return "NodeAborted", "", {"node_info": {"unique_id": attributes.get("unique_id")}}


def _node_end(attributes: JsonObject, record: JsonObject) -> Translated | None:
    if attributes.get("in_selection") is False:
        return None
    node, status = node_info(attributes, record), status_of(attributes)
    result: JsonObject = {"status": status, "message": reason_for_reuse(attributes)}
    tested = attributes.get("node_test_detail")
    if is_object(tested):
        result["num_failures"] = number(tested.get("failing_rows")) or 0
        node["stores_failures"] = tested.get("store_failures")
    elif (
        rows := whole_number(attributes.get("rows_affected"))
    ) is not None and status == "success":
        result["adapter_response"] = {"rows_affected": rows}
    seconds = seconds_between(node["node_started_at"], node["node_finished_at"])
    result["execution_time"] = seconds
    if error := text(attributes.get("node_error_type")):
        result["error_type"] = error.removeprefix("NODE_ERROR_TYPE_").lower()
    skipped = attributes.get("node_skip_upstream_detail")
    if is_object(skipped):
        result["skipped_for"] = skipped.get("upstream_unique_id")
    return (
        "NodeFinished",
        _line(attributes, node, result),
        {"node_info": node, "run_result": result},
    )


def _line(attributes: JsonObject, node: JsonObject, result: JsonObject) -> str:
    """dbt v2's line about the end of a node: ` Succeeded [  0.02s] model main.orders (table)`."""
    status, kind = result["status"], node["resource_type"]
    name = attributes.get("identifier") or node["node_name"]
    took = "-------" if status in ("skipped", "no-op") else f"{result['execution_time'] or 0:6.2f}s"
    line = f"{_SHOWN.get(status, 'Finished'):>10} [{took}] {kind:<5}"
    if kind in ("test", "unit_test"):
        return f"{line} {name}"
    return f"{line} {attributes.get('schema')}.{name} ({node['materialized']})"


def _hook(attributes: JsonObject, record: JsonObject) -> Translated | None:
    unique_id = attributes.get("unique_id")
    if attributes.get("hook_type") in _NODE_HOOKS:
        return None
    node = {
        "unique_id": unique_id,
        "resource_type": "operation",
        "node_name": attributes.get("name"),
        **times(record),
    }
    data = {"node_info": node, "index": attributes.get("hook_index", 0)}
    outcome = text(attributes.get("hook_outcome"))
    if outcome is None:
        return "LogHookStartLine", f"START hook: {unique_id}", data
    status = outcome.removeprefix("HOOK_OUTCOME_").lower()
    data["status"] = "cancelled" if status == "canceled" else status
    data["execution_time"] = seconds_between(node["node_started_at"], node["node_finished_at"])
    return "LogHookEndLine", f"{'OK' if status == 'success' else 'ERROR'} hook: {unique_id}", data


def _message(attributes: JsonObject, record: JsonObject) -> Translated | None:
    body, code = text(record.get("body")) or "", number(attributes.get("code"))
    level = {"ERROR": "error", "WARN": "warning"}.get(text(record.get("severity_text")) or "")
    if level is None:
        return None
    head = f" [{attributes.get('code_name')} (dbt{code:04d})]" if code is not None else ""
    node = attributes.get("unique_id")
    data = {"node_info": {"unique_id": node}} if node is not None else {}
    return "Generic", f"[{level}]{head}: {body}", data


def _user_message(attributes: JsonObject, record: JsonObject) -> Translated:
    name = "PrintEvent" if attributes.get("is_print") else "JinjaLogInfo"
    return name, text(record.get("body")) or "", {}


def _answer(attributes: JsonObject, _: JsonObject) -> Translated:
    return "PrintEvent", text(attributes.get("content")) or "", {}


def _artifact(attributes: JsonObject, _: JsonObject) -> Translated:
    return "ArtifactWritten", "", {"artifact_path": attributes.get("relative_path")}


_TRANSLATIONS: Final[dict[tuple[str, str], Translation]] = {
    ("SpanStart", "Process"): _process,
    ("SpanStart", "QueryExecuted"): _query,
    ("SpanStart", "PhaseExecuted"): _run_start,
    ("SpanStart", "NodeProcessed"): _node_start,
    ("SpanStart", "NodeEvaluated"): _node_run_start,
    ("SpanEnd", "NodeEvaluated"): _node_run_end,
    ("SpanEnd", "NodeProcessed"): _node_end,
    ("SpanStart", "HookProcessed"): _hook,
    ("SpanEnd", "HookProcessed"): _hook,
    ("SpanEnd", "ArtifactWritten"): _artifact,
    ("LogRecord", "LogMessage"): _message,
    ("LogRecord", "UserLogMessage"): _user_message,
    ("LogRecord", "ListItemOutput"): _answer,
    ("LogRecord", "ShowDataOutput"): _answer,
}


@lru_cache(maxsize=8)
def _uuid(trace: str) -> str:
    """The invocation's id, which is the trace's id written with hyphens."""
    return "-".join((trace[:8], trace[8:12], trace[12:16], trace[16:20], trace[20:]))
