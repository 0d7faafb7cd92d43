"""Compares the record of a node with its result in dbt's `run_results.json`."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping
from typing import Any

LOGGED_ANYWHERE = ("status", "message", "failures", "relation")
"""What a log at info level has too."""


def differences(record: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The fields in which they differ, with the record's value and the file's.

    dbt writes `"failures": 0` for some nodes that are no tests, no relation for a seed, and the
    timing of a hook to the file alone.
    """
    recorded, filed = _recorded(record), _filed(result)
    if record["resource_type"] == "operation":
        del filed["timing"]
    if record["resource_type"] not in ("test", "unit_test"):
        del filed["failures"]
    if filed["relation"] is None:
        del filed["relation"]
    return {
        field: (recorded[field], filed[field]) for field in filed if recorded[field] != filed[field]
    }


def _recorded(record: Mapping[str, Any]) -> dict[str, Any]:
    message = record.get("message", "")
    if "batches" in record:
        # For a microbatch model the file has only `ERROR`; the record has the texts too.
        message = message.partition("\n")[0]
    return {
        "status": record["status"],
        "message": message,
        "failures": record.get("failures"),
        "relation": record.get("relation"),
        "thread": record.get("thread"),
        "execution_time": _float32(record.get("execution_time", 0.0)),
        "adapter_response": _spelled(record.get("adapter_response", {})),
        "timing": _spans(record.get("timing", ())),
    }


def _filed(result: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "status": result["status"],
        "message": result["message"] or "",
        "failures": result.get("failures"),
        "relation": result.get("relation_name"),
        "thread": result["thread_id"],
        "execution_time": _float32(result["execution_time"]),
        "adapter_response": _spelled(result["adapter_response"]),
        "timing": _spans(result["timing"]),
    }


def _float32(value: float) -> float:
    """dbt's log has times as protobuf floats."""
    return struct.unpack("f", struct.pack("f", value))[0]


def _spelled(value: Any) -> str:
    """The value as JSON, in which 1 and 1.0 differ."""
    return json.dumps(value, sort_keys=True)


def _instant(timestamp: str) -> str:
    return f"{timestamp.rstrip('Z')}{'' if '.' in timestamp else '.'}".ljust(26, "0")


def _spans(timing: Iterable[Mapping[str, str]]) -> list[tuple[str, str, str]]:
    return [(s["name"], _instant(s["started_at"]), _instant(s["completed_at"])) for s in timing]
