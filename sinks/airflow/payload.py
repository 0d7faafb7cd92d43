"""A record as an XCom: its key, and its JSON in a form that every Airflow 3 can store."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, Final

from ...records.schema import RunRecord
from ...records.values import TOO_DEEP, is_array, is_object
from ...records.xcom import xcom_key

if TYPE_CHECKING:
    from ...records.schema import Record

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


def key_of(record: Record, prefix: str) -> str:
    """The key of the XCom that is the record's JSON."""
    return prefix + record.key if isinstance(record, RunRecord) else xcom_key(record.key, prefix)


def safe(value: Any, depth: int = 0) -> Any:
    """The value without the parts that some Airflow or its database refuses.

    NUL and lone surrogates become U+FFFD (PostgreSQL, SQLite). NaN and infinities become null: an
    unreadable value fails the task's next retry. Integers beyond 64 bits become text. Airflow 3.2+
    reserves some dictionary keys: they get one more underscore in front. Airflow 3.3.1+ also looks
    for them in every text that is JSON: such a text gets a zero width space in front, which nobody
    sees and which makes it no JSON. TOO_DEEP replaces a list or object below 100 levels.
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

    A longer message keeps its head and its tail. If the other fields are very large, those with
    details are left out, and `omitted` has their sizes.
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
    """The text in at most `max_bytes` of UTF-8: its head, the number of bytes cut, its tail."""
    data = text.encode()
    if len(data) <= max_bytes:
        return text
    room = max(0, max_bytes - len(_MARKER.format(len(data)).encode()))
    head = data[: room * 2 // 3].decode("utf-8", "ignore")
    tail = data[len(data) - (room - room * 2 // 3) :].decode("utf-8", "ignore")
    missing = len(data) - len(head.encode()) - len(tail.encode())
    return head + _MARKER.format(missing) + tail


def _may_be_refused(text: str) -> bool:
    """Whether the text may be JSON that Airflow refuses: with a reserved key, in any spelling, or
    so deep that Airflow answers 500."""
    if text.lstrip()[:1] not in ("{", "["):
        return False
    has_reserved = any(word in text for word in _RESERVED) or "\\u" in text
    return has_reserved or text.count("[") + text.count("{") > _DEEPEST


def _safe_name(name: str) -> str:
    name = _REPLACED.sub("\ufffd", name)
    return f"_{name}" if name.strip() in _RESERVED else name
