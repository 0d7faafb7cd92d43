"""JSON values: checks of their types, a bound on their depth, and their text."""

from __future__ import annotations

import json
import math
from typing import Any, Final, TypeGuard

import orjson

JsonObject = dict[str, Any]

TOO_DEEP: Final = "… nested too deep …"
"""Replaces a list or object that is nested too deep."""

DEEPEST: Final = 100
"""The levels of lists and objects that a value keeps. dbt's own events have eight levels; an
adapter's response and a model's `meta` may have any number."""

_LARGEST: Final = 2**63
_EXACT: Final = 2**53
"""The size from which a float no longer tells neighbouring integers apart."""


def is_object(value: Any) -> TypeGuard[JsonObject]:
    return isinstance(value, dict)


def is_array(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def text(value: Any) -> str | None:
    """The value, if it is a text and not empty."""
    return value if isinstance(value, str) and value else None


def number(value: Any) -> int | None:
    """The value, if it is a whole number of 64 bits.

    Databases and most readers of JSON support no larger numbers.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if -_LARGEST <= value < _LARGEST else None


def finite_number(value: Any) -> float | None:
    """The value, if it is a whole number of 64 bits or a finite float."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return number(value)


def shallow(value: Any, deepest: int = DEEPEST) -> Any:
    """The value, with TOO_DEEP in place of each list or object below the level `deepest`."""
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


def whole_numbers(value: Any) -> Any:
    """The value, with an integer in place of each float that has no fraction and is exact.

    The value must be `shallow`.
    """
    if is_object(value):
        return {k: whole_numbers(v) for k, v in value.items()}
    if is_array(value):
        return [whole_numbers(v) for v in value]
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < _EXACT
    return int(value) if is_whole else value


def encode(value: dict[str, Any]) -> bytes:
    """The value as compact JSON. NaN and infinities become null.

    orjson refuses lone surrogates and integers beyond 64 bits. dbt's log can contain both, so the
    json module encodes them.
    """
    try:
        return orjson.dumps(value)
    except (TypeError, ValueError):
        finite = json.loads(json.dumps(value), parse_constant=lambda _: None)
        return json.dumps(finite, separators=(",", ":")).encode()
