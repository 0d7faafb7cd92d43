"""Records as JSON lines in a file or a stream, each written out at once."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from .base import Delivered, Hold, Retry, Verdict

if TYPE_CHECKING:
    from ..parser.records import Record


class JsonlSink:
    """Appends one line per record; a later line of the same key replaces an earlier one."""

    most_workers = 1

    def __init__(self, target: Path | BinaryIO, name: str | None = None) -> None:
        """`target` is opened for appending if it is a path; OSError if that cannot be done."""
        self.name = name or f"jsonl:{target if isinstance(target, Path) else '-'}"
        self.address = {"path": str(target.absolute())} if isinstance(target, Path) else {}
        self._owned = isinstance(target, Path)
        self._rest = b""
        if isinstance(target, Path):
            # Without a buffer, so that a full disk leaves nothing behind for close to trip over.
            self._file: BinaryIO = target.open("ab", buffering=0)
            if _ends_within_a_line(target):
                # What a kill or a full disk cut off must not swallow the first new line.
                self._rest = b"\n"
        else:
            self._file = target

    def learn(self, record: Record) -> None:
        """Each line speaks for itself."""

    def send(self, record: Record) -> Verdict:
        line = encode(record.to_json()) + b"\n"
        left = self._rest + line
        try:
            while left:
                left = left[self._file.write(left) :]
            self._file.flush()
        except (BrokenPipeError, ValueError):
            return Hold("nobody reads the JSON lines any more: their pipe or file was closed")
        except OSError as error:
            return Retry(f"cannot write the JSON line: {error}")
        finally:
            # A line that was begun is completed by the next write: each line is whole.
            self._rest = left if len(left) < len(line) else left[: len(left) - len(line)]
        return Delivered()

    def close(self) -> None:
        if self._owned:
            self._file.close()


def _ends_within_a_line(path: Path) -> bool:
    try:
        if not path.is_file() or path.stat().st_size == 0:
            return False
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except OSError:  # it may be appended to and not read
        return False


def encode(value: dict[str, Any]) -> bytes:
    """Compact JSON. orjson refuses lone surrogates and integers beyond 64 bits, which dbt's log
    can hold; NaN and infinities become null either way."""
    try:
        return orjson.dumps(value)
    except (TypeError, ValueError):
        finite = json.loads(json.dumps(value), parse_constant=lambda _: None)
        return json.dumps(finite, separators=(",", ":")).encode()
