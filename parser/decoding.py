"""JSON text to values. Nesting of any depth loses no event.

Python ends a recursion after a thousand steps, and orjson reads 1,024 levels but writes only 254.
So all code that descends into a value by recursion (masking, renaming, a record's fields) works on
a `shallow` value, and text that is too deep for a decoder becomes shallow before it is decoded.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import orjson

from ..records.values import DEEPEST, TOO_DEEP

_BRACKETS: Final = re.compile(r'\\.|["{}\[\]]', re.DOTALL)
_LONGEST_NUMBER: Final = 19


def decode(line: bytes) -> Any:
    """The JSON value of a line; None if it has none.

    The json module decodes lines that orjson refuses: NaN, lone surrogates, bad UTF-8, 1,025
    levels.
    """
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return _decode_patiently(line.decode("utf-8", "replace")) if b"{" in line else None


def decode_at(text: str, start: int) -> tuple[Any, int]:
    """The JSON value that begins at `start`, and where it ends. Raises JSONDecodeError."""
    try:
        return _DECODER.raw_decode(text, start)
    except RecursionError:
        flat, end = _flattened(text, start)
        return _DECODER.decode(flat), end


def _decode_patiently(text: str) -> Any:
    try:
        start = len(text) - len(text.lstrip())
        value, end = decode_at(text, start)
    except (ValueError, RecursionError):
        return None
    return None if text[end:].strip() else value


def _flattened(text: str, start: int) -> tuple[str, int]:
    """The JSON text that begins at `start`, with TOO_DEEP for deeper parts, and where it ends."""
    pieces: list[str] = []
    depth, is_quoted, kept = 0, False, start
    for found in _BRACKETS.finditer(text, start):
        mark = found[0]
        if mark == '"':
            is_quoted = not is_quoted
        elif is_quoted or mark[0] == "\\":
            continue
        elif mark in "{[":
            depth += 1
            if depth == DEEPEST + 1:
                pieces.append(text[kept : found.start()])
        else:
            if depth == DEEPEST + 1:
                pieces.append(json.dumps(TOO_DEEP))
                kept = found.end()
            depth -= 1
            if depth <= 0:
                return "".join((*pieces, text[kept : found.end()])), found.end()
    raise json.JSONDecodeError("the JSON has no end", text, len(text) - 1)


def _whole_number(digits: str) -> float:
    # Python refuses to parse an integer of more than 4,300 digits.
    return int(digits) if len(digits) <= _LONGEST_NUMBER else float(digits)


_DECODER: Final = json.JSONDecoder(parse_int=_whole_number)
