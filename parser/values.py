"""Narrowing of decoded JSON, which may be anything: absent and wrong are both None."""

from __future__ import annotations

import json
import math
from typing import Any, Final, TypeGuard

JsonObject = dict[str, Any]

TOO_DEEP: Final = "… nested too deep …"
"""Stands in place of what is nested beyond all reason."""

_ENCODINGS: Final = 2
_LARGEST: Final = 2**63


def is_object(value: Any) -> TypeGuard[JsonObject]:
    return isinstance(value, dict)


def is_array(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def text(value: Any) -> str | None:
    """A text that says something."""
    return value if isinstance(value, str) and value else None


def number(value: Any) -> int | None:
    """A whole number of 64 bits: databases, and most readers of JSON, have no larger ones."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if -_LARGEST <= value < _LARGEST else None


def seconds(value: Any) -> float | None:
    """A number that is finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return number(value)


def as_sent(value: Any) -> Any:
    """An XCom's value as it was sent.

    Airflow 3.0 and 3.1 keep what comes over the API as JSON text, encoded once by a POST and twice
    by a PATCH (apache/airflow#58900, fixed in 3.2).
    """
    for _ in range(_ENCODINGS):
        if not isinstance(value, str):
            break
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            break
    return value
