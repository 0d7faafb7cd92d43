"""A record's JSON made fit for every database and every Airflow 3."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

from ...records.values import TOO_DEEP, is_array, is_object

_REPLACED: Final = re.compile("[\x00\ud800-\udfff]")
_RESERVED: Final = (
    "__classname__",
    "__version__",
    "__data__",
    "__id__",
    "__cache__",
    "__type",
    "__source",
    "__var",
)
_ZERO_WIDTH_SPACE: Final = "\u200b"
_MARKER: Final = "\n… {} bytes cut …\n"
_DEEPEST: Final = 100
_BULKY: Final = ("adapter_response", "timing", "failed", "command")
_REST_OF_VALUE: Final = 48 * 1024


def safe(value: Any, depth: int = 0) -> Any:
    """The value without what some backend refuses.

    NUL and lone surrogates become U+FFFD (PostgreSQL, SQLite), NaN and infinities null (a value
    that can no longer be read fails the task's next retry), integers beyond 64 bits text. Airflow
    3.2+ reserves some dictionary keys: they get one more underscore in front. Airflow 3.3.1+ also
    looks for them in every text that is JSON: such a text gets a zero width space in front, so
    that it reads the same and is not JSON. What is nested beyond all reason gives way to a note.
    """
    if isinstance(value, str):
        text = _REPLACED.sub("\ufffd", value)
        return _ZERO_WIDTH_SPACE + text if _may_be_refused(text) else text
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return value if -(2**63) <= value < 2**63 else str(value)
    if (is_object(value) or is_array(value)) and depth >= _DEEPEST:
        return TOO_DEEP
    if is_object(value):
        return {_safe_name(str(k)): safe(v, depth + 1) for k, v in value.items()}
    if is_array(value):
        return [safe(v, depth + 1) for v in value]
    return value


def xcom_value(record: dict[str, Any], max_message_bytes: int) -> dict[str, Any]:
    """The XCom value of a record: safe, and bounded in size.

    A longer message keeps its head and its tail. Where the rest is out of all proportion, the
    fields that are detail give way.
    """
    value: dict[str, Any] = safe(record)
    if isinstance(value.get("message"), str):
        value["message"] = cut(value["message"], max_message_bytes)
    for name in _BULKY:
        if len(json.dumps(value)) <= max_message_bytes + _REST_OF_VALUE:
            break
        if name in value:
            size = len(json.dumps(value.pop(name)))
            value.setdefault("omitted", {})[name] = size
    return value


def cut(text: str, max_bytes: int) -> str:
    """The text in at most `max_bytes` of UTF-8: its head, what is missing, its tail."""
    data = text.encode()
    if len(data) <= max_bytes:
        return text
    room = max(0, max_bytes - len(_MARKER.format(len(data)).encode()))
    head = data[: room * 2 // 3].decode("utf-8", "ignore")
    tail = data[len(data) - (room - room * 2 // 3) :].decode("utf-8", "ignore")
    missing = len(data) - len(head.encode()) - len(tail.encode())
    return head + _MARKER.format(missing) + tail


def _may_be_refused(text: str) -> bool:
    """Whether the text may be JSON with a reserved key, written in whatever way, or JSON that is
    too deep for Airflow, which answers 500 to it."""
    if text.lstrip()[:1] not in ("{", "["):
        return False
    has_reserved = any(word in text for word in _RESERVED) or "\\u" in text
    return has_reserved or text.count("[") + text.count("{") > _DEEPEST


def _safe_name(name: str) -> str:
    name = _REPLACED.sub("\ufffd", name)
    return f"_{name}" if name.strip() in _RESERVED else name
