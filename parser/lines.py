"""Bytes as they come from a pipe, cut where a line ends."""

from __future__ import annotations

from typing import Final

MAX_LINE: Final = 64 * 1024 * 1024
"""Bytes after which a line without an end is handed on as it is, so that memory stays bounded."""


class LineSplitter:
    """Cuts a stream of byte chunks into blocks of whole lines."""

    def __init__(self, max_line: int = MAX_LINE) -> None:
        self._max_line = max_line
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> bytes:
        """The lines that this chunk completes, in one piece; empty if it ends none."""
        cut = chunk.rfind(b"\n") + 1
        if not cut:
            self._parts.append(chunk)
            self._size += len(chunk)
            return self.end() if self._size > self._max_line else b""
        block = b"".join((*self._parts, chunk[:cut]))
        rest = chunk[cut:]
        self._parts, self._size = [rest], len(rest)
        return block

    def end(self) -> bytes:
        """What is left when the stream ends: nothing, or one line without its end."""
        rest = b"".join(self._parts)
        self._parts, self._size = [], 0
        return rest
