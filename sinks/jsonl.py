"""Records as JSON lines in a file or a stream, each written out at once."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from .base import Delivered, Retry, Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from ..parser.records import Record


class JsonlSink:
    """Appends one line per record; a later line of the same key replaces an earlier one."""

    most_workers = 1

    def __init__(self, target: Path | BinaryIO) -> None:
        """`target` is opened for appending if it is a path; OSError if that cannot be done."""
        self.name = "jsonl"
        self._owned = not hasattr(target, "write")
        self._file: BinaryIO = target.open("ab") if self._owned else target  # type: ignore[union-attr,assignment]

    def send(self, record: Record) -> Verdict:
        try:
            self._file.write(encode(record.to_json()) + b"\n")
            self._file.flush()
        except (OSError, ValueError) as error:
            return Retry(f"cannot write the JSON line: {error}")
        return Delivered()

    def close(self) -> None:
        if self._owned:
            self._file.close()


def encode(value: dict[str, Any]) -> bytes:
    """Compact JSON. orjson refuses lone surrogates, which dbt's log can hold."""
    try:
        return orjson.dumps(value)
    except (TypeError, ValueError):
        return json.dumps(value, separators=(",", ":")).encode()
