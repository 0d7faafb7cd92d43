"""What a span of dbt v2's telemetry says about its node or hook."""

from __future__ import annotations

from datetime import datetime, timezone
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from ..records.values import is_object, text

if TYPE_CHECKING:
    from ..records.values import JsonObject

_SKIPS: Final = {"NODE_SKIP_REASON_CACHED": "reused", "NODE_SKIP_REASON_NO_OP": "no-op"}
_TESTED: Final = {"TEST_OUTCOME_WARNED": "warn", "TEST_OUTCOME_FAILED": "fail"}
_FRESH: Final = {
    "SOURCE_FRESHNESS_OUTCOME_OUTCOME_WARNED": "warn",
    "SOURCE_FRESHNESS_OUTCOME_OUTCOME_FAILED": "error",
}
_REUSED: Final = {
    "NODE_CACHE_REASON_NO_CHANGES": "no code or data changes",
    "NODE_CACHE_REASON_STILL_FRESH": "still fresh",
    "NODE_CACHE_REASON_UPDATE_CRITERIA_NOT_MET": "the criteria for an update are not met",
}


def node_info(attributes: JsonObject, record: JsonObject) -> JsonObject:
    """The `node_info` of dbt's JSON log."""
    kind = _word(attributes, "node_type", "NODE_TYPE_")
    materialized = _word(attributes, "materialization", "NODE_MATERIALIZATION_")
    if materialized in ("custom", "unknown"):
        materialized = text(attributes.get("custom_materialization")) or ""
    elif materialized == "unit":
        materialized = "unit_test"
    return {
        "unique_id": attributes.get("unique_id"),
        "node_name": attributes.get("name"),
        "node_path": attributes.get("relative_path"),
        "resource_type": kind,
        "materialized": materialized,
        "node_checksum": attributes.get("node_checksum"),
        "node_relation": _relation(attributes),
        **times(record),
    }


def _relation(attributes: JsonObject) -> JsonObject:
    database, schema = attributes.get("database"), attributes.get("schema")
    name = attributes.get("identifier")
    is_whole = all(isinstance(part, str) for part in (database, schema, name))
    return {
        "database": database,
        "schema": schema,
        "alias": name,
        "relation_name": f"{database}.{schema}.{name}" if is_whole else "",
    }


def times(record: JsonObject) -> JsonObject:
    """When the span began and ended, as a `node_info` has it."""
    return {
        "node_started_at": timestamp(record.get("start_time_unix_nano")),
        "node_finished_at": timestamp(record.get("end_time_unix_nano")),
    }


def status_of(attributes: JsonObject) -> str:
    """The status word in dbt's JSON log (`format_node_outcome_as_status`)."""
    outcome = _word(attributes, "node_outcome", "NODE_OUTCOME_")
    tested, fresh = attributes.get("node_test_detail"), attributes.get("node_freshness_outcome")
    if outcome == "success" and is_object(fresh):
        return _FRESH.get(text(fresh.get("node_freshness_outcome")) or "", "pass")
    if outcome == "success" and is_object(tested):
        return _TESTED.get(text(tested.get("test_outcome")) or "", "pass")
    if outcome == "success":
        details = attributes.get("node_evaluation_detail")
        has_warned = is_object(details) and "NODE_WARNING_OUTCOME_WITH_WARNINGS" in details.values()
        return "warn" if has_warned else "success"
    if outcome == "skipped":
        return _SKIPS.get(text(attributes.get("node_skip_reason")) or "", "skipped")
    return {"canceled": "cancelled", "": "unknown"}.get(outcome, outcome)


def reason_for_reuse(attributes: JsonObject) -> str | None:
    """Why dbt reused what was there."""
    cached = attributes.get("node_cache_detail")
    if not is_object(cached):
        return None
    return text(cached.get("message")) or _REUSED.get(text(cached.get("node_cache_reason")) or "")


def _word(attributes: JsonObject, field: str, prefix: str) -> str:
    return (text(attributes.get(field)) or "").removeprefix(prefix).lower()


def whole_number(value: Any) -> int | None:
    """A number of 64 bits, which JSON made by protobuf has as text."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def timestamp(nanoseconds: Any) -> str:
    """Nanoseconds since 1970 as RFC 3339 in UTC with microseconds; empty for no number."""
    whole = whole_number(nanoseconds)
    if whole is None:
        return ""
    seconds, fraction = divmod(whole, 10**9)
    try:
        return f"{_moment(seconds)}.{fraction // 1000:06d}Z"
    except (OverflowError, ValueError, OSError):
        return ""


@lru_cache(maxsize=8)
def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
