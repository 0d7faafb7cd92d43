"""JSON that was printed over several lines, as `gcloud logging read --format json` and `jq` do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ...parser.lines import LineSplitter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LONGEST_START: Final = 16
"""Bytes that tell it from a log with an object a line: more than `[`, a newline and an indent."""

_PRINTED: Final = re.compile(rb"\s*(?:\[\s*\{|\{[ \t]*\r?\n)")
_MARK: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[][{}]', re.DOTALL)
"""A string, which never goes over a line's end in JSON, or a bracket."""
_MAY_BE_JSON: Final = re.compile(rb"\s*(?:[]{},]|\[\s*(?:\{|\Z))")
"""How a line begins between two objects, if it is no text."""


def is_printed(start: bytes) -> bool:
    """Whether a text that begins so is JSON over several lines, or a list of objects."""
    return _PRINTED.match(start) is not None


def one_a_line(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same with each object, and each member of a list, in one line. Other text stays."""
    splitter, joiner = LineSplitter(), _Joiner()
    for chunk in chunks:
        if joined := joiner.join(splitter.feed(chunk)):
            yield joined
    if joined := joiner.join(splitter.end()):
        yield joined


class _Joiner:
    """Takes whole lines. `_level` counts the open brackets, `_list` the one around the members."""

    def __init__(self) -> None:
        self._level = 0
        self._list = 0

    def join(self, block: bytes) -> bytes:
        return b"".join(map(self._line, block.splitlines(keepends=True)))

    def _line(self, line: bytes) -> bytes:
        pieces: list[bytes] = []
        if self._level > self._list and line.startswith(b'{"'):  # no printer puts that there
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
