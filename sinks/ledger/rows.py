"""The ledger's row of a node, from the node's record in the journal."""

from __future__ import annotations

import json
import uuid
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from ...records.instant import instant
from ...records.outcomes import OUTCOMES
from ...records.schema import NodeRecord
from ...records.values import finite_number, is_object, number, text
from ..journal.salvage import stored_text

if TYPE_CHECKING:
    from ...records.values import JsonObject

_start_of_dbt: Final = lru_cache(maxsize=16)(instant)
"""All nodes of a dbt have the same."""
_LONGEST: Final = 1e12
"""Seconds. A number beyond is no time."""


class Row(NamedTuple):
    """`started_at` is in seconds since 1970, `took_ms` in milliseconds. Texts can be stored."""

    unique_id: str
    outcome: int
    status: str
    started_at: float | None
    took_ms: int | None
    failures: int | None
    rows_affected: int | None
    bytes_processed: int | None
    bytes_billed: int | None
    slot_ms: int | None
    query_id: str | bytes | None
    thread: str | None
    checksum: str | None
    invocation_started_at: float | None


def row_of(key: str, body: bytes) -> Row | None:
    """The row of a node's stored record.

    None for the record of a run, for a damaged one, and for a node that an earlier attempt ran:
    that attempt has its row. Reads the fields that it needs: whole records cost six times as much.
    """
    record = _read(body)
    if record is None or record.get("schema") != NodeRecord.schema or "resumed_from" in record:
        return None
    outcome, status = record.get("outcome"), text(record.get("status"))
    if outcome not in OUTCOMES or status is None:
        return None
    seconds = finite_number(record.get("execution_time"))
    answer: Any = record.get("adapter_response")
    answer = answer if is_object(answer) else {}
    thread, checksum = text(record.get("thread")), text(record.get("checksum"))
    return Row(
        unique_id=key,
        outcome=OUTCOMES.index(outcome),
        status=stored_text(status),
        started_at=instant(text(record.get("started_at"))),
        took_ms=round(seconds * 1000) if seconds is not None and 0 <= seconds < _LONGEST else None,
        failures=number(record.get("failures")),
        rows_affected=_count(answer, "rows_affected"),
        bytes_processed=_count(answer, "bytes_processed"),
        bytes_billed=_count(answer, "bytes_billed"),
        slot_ms=_count(answer, "slot_ms"),
        query_id=_query_id(answer),
        thread=stored_text(thread) if thread else None,
        checksum=stored_text(checksum) if checksum else None,
        invocation_started_at=_start_of_dbt(text(record.get("invocation_started_at"))),
    )


def query_id_text(stored: object) -> str | None:
    """The query's id as the adapter wrote it."""
    if isinstance(stored, bytes):
        return str(uuid.UUID(bytes=stored)) if len(stored) == 16 else None
    return stored if isinstance(stored, str) else None


def _read(body: bytes) -> JsonObject | None:
    try:
        record: Any = orjson.loads(body)
    except ValueError:  # a lone surrogate, or damage
        try:
            record = json.loads(body)
        except (ValueError, RecursionError):
            return None
    return record if is_object(record) else None


def _count(answer: JsonObject, name: str) -> int | None:
    """A count of the adapter; a database driver says -1 if it does not know."""
    found = number(answer.get(name))
    return found if found is not None and found >= 0 else None


def _query_id(answer: JsonObject) -> str | bytes | None:
    """The query's id: Snowflake and Athena call it `query_id`, BigQuery `job_id`."""
    found = text(answer.get("query_id")) or text(answer.get("job_id"))
    if not found:
        return None
    # Most are UUIDs, which need 16 bytes in place of 36.
    if len(found) == 36:
        try:
            packed = uuid.UUID(found)
        except ValueError:
            return stored_text(found)
        if str(packed) == found:
            return packed.bytes
    return stored_text(found)
