"""Cuts the bytes of a pipe into whole lines."""

from __future__ import annotations

from typing import Final

MAX_LINE: Final = 64 * 1024 * 1024
"""Bytes of a line without an end after which it is cut, so that memory stays bounded."""


class LineSplitter:
    """Cuts a stream of byte chunks into blocks of whole lines."""

    def __init__(self, max_line: int = MAX_LINE) -> None:
        self._max_line = max_line
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> bytes:
        """The lines that this chunk completes, in one block; empty if it completes none."""
        cut = chunk.rfind(b"\n") + 1
        if not cut:
            self._parts.append(chunk)
            self._size += len(chunk)
            return self.end() if self._size > self._max_line else b""
        block = b"".join((*self._parts, memoryview(chunk)[:cut]))
        rest = chunk[cut:]
        self._parts, self._size = [rest], len(rest)
        return block

    def end(self) -> bytes:
        """The line that the stream ended in; empty if it ended with a newline."""
        rest = b"".join(self._parts)
        self._parts, self._size = [], 0
        return rest
