"""JSON printed over several lines, as `gcloud logging read --format json` and `jq` print it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ...parser.lines import LineSplitter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LONGEST_START: Final = 16
"""Bytes that distinguish it from a log with one object a line: `[`, a newline, an indent, more."""

_PRINTED: Final = re.compile(rb"\s*(?:\[\s*\{|\{[ \t]*\r?\n)")
_MARK: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[][{}]', re.DOTALL)
"""A string, which never crosses the end of a line in JSON, or a bracket."""
_MAY_BE_JSON: Final = re.compile(rb"\s*(?:[]{},]|\[\s*(?:\{|\Z))")
"""The beginning of a line between two objects, unless the line is text."""


def is_printed(start: bytes) -> bool:
    """Whether these are the first bytes of JSON over several lines, or of a list of objects."""
    return _PRINTED.match(start) is not None


def one_a_line(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The text with one line for each object, and for each member of a list.

    Other text is not changed.
    """
    splitter, joiner = LineSplitter(), _Joiner()
    for chunk in chunks:
        if joined := joiner.join(splitter.feed(chunk)):
            yield joined
    if joined := joiner.join(splitter.end()):
        yield joined


class _Joiner:
    """Joins the lines of an object.

    `_level` counts the open brackets, `_list` is 1 inside a list of objects and else 0.
    """

    def __init__(self) -> None:
        self._level = 0
        self._list = 0

    def join(self, block: bytes) -> bytes:
        """The lines of a block of whole lines, joined."""
        return b"".join(map(self._line, block.splitlines(keepends=True)))

    def _line(self, line: bytes) -> bytes:
        pieces: list[bytes] = []
        if self._level > self._list and line.startswith(b'{"'):  # printers indent
            pieces.append(b"\n")
            self._level = self._list
        elif self._level == self._list and not _MAY_BE_JSON.match(line):
            return line
        start = 0
        for mark in _MARK.finditer(line):
            match mark[0]:
                case b"[" if self._level == 0:
                    self._level = self._list = 1
                    start = mark.end()
                case b"{" | b"[":
                    if self._level == self._list:
                        start = mark.start()
                    self._level += 1
                case b"}" | b"]" if self._level > self._list:
                    self._level -= 1
                    if self._level == self._list:
                        pieces += (line[start : mark.end()].strip(), b"\n")
                        start = mark.end()
                case b"]":
                    self._level = self._list = 0
                    start = mark.end()
                case _:
                    pass
        if self._level > self._list:
            pieces.append(line[start:].strip())
        elif self._list == 0 and line[start:].strip():
            pieces.append(line[start:])
        return b"".join(pieces)
