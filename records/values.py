"""JSON values: read from what may be anything, bounded in depth, and written."""

from __future__ import annotations

import json
import math
from typing import Any, Final, TypeGuard

import orjson

JsonObject = dict[str, Any]

TOO_DEEP: Final = "… nested too deep …"
"""Stands in place of what is nested beyond all reason."""

DEEPEST: Final = 100
"""Levels of lists and objects that are kept. dbt's own events have eight; an adapter's response and
a model's `meta` may have any number."""

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


def shallow(value: Any, deepest: int = DEEPEST) -> Any:
    """The value with a note in place of each list or object below the deepest level."""
    if is_object(value):
        if not deepest:
            return TOO_DEEP
        for part in value.values():
            if isinstance(part, (dict, list)):
                return {k: shallow(v, deepest - 1) for k, v in value.items()}
        return value
    if is_array(value):
        return [shallow(v, deepest - 1) for v in value] if deepest else TOO_DEEP
    return value


def encode(value: dict[str, Any]) -> bytes:
    """Compact JSON. orjson refuses lone surrogates and integers beyond 64 bits, which dbt's log
    can hold; NaN and infinities become null either way."""
    try:
        return orjson.dumps(value)
    except (TypeError, ValueError):
        finite = json.loads(json.dumps(value), parse_constant=lambda _: None)
        return json.dumps(finite, separators=(",", ":")).encode()
