"""A saved log as bytes of UTF-8, from a file, a pipe or standard input, compressed or not."""

from __future__ import annotations

import codecs
import itertools
import select
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from . import compression, printed_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

_CHUNK: Final = 1 << 18
_HEAD: Final = 1 << 16
_SCAN: Final = 1 << 20
_LONGEST_MARK: Final = 4
_MARKS: Final = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    b"{\x00": "utf-16-le",
    b"\x00{": "utf-16-be",
}
"""First bytes of text that is not UTF-8, longer marks first. A JSON log begins with a brace."""


class SavedLog:
    """One log, to be read once.

    `head` is its beginning, and `size` the bytes read so far, both without compression. `trouble`
    says why the log could not be read to its end.
    """

    def __init__(self, path: str) -> None:
        self.name = "standard input" if path == "-" else path
        self.head = b""
        self.size = 0
        self.trouble: str | None = None
        self._path = path
        self._chunks = self._read()
        for chunk in self._chunks:
            # The first bytes of a pipe show what follows, so nobody waits for a whole head.
            self.head = chunk[:_HEAD]
            self._chunks = itertools.chain([chunk], self._chunks)
            break

    @property
    def is_stream(self) -> bool:
        """Whether more bytes may come than are there now."""
        if self._path == "-":
            return True
        try:
            return not stat.S_ISREG(Path(self._path).stat().st_mode)
        except OSError:
            return True

    def chunks(self) -> Iterator[bytes]:
        """The bytes of the log, as they come."""
        for chunk in self._chunks:
            if len(self.head) < _HEAD and self.size:
                self.head += chunk[: _HEAD - len(self.head)]
            self.size += len(chunk)
            yield chunk

    def holds(self, word: bytes) -> bool:
        """Whether a word of a few bytes occurs in the log, a file that is not compressed."""
        before = b""
        with Path(self._path).open("rb") as file:
            while chunk := file.read(_SCAN):
                if word in before + chunk:
                    return True
                before = chunk[-len(word) :]
        return False

    def _read(self) -> Iterator[bytes]:
        try:
            if self._path == "-":
                yield from _with_one_object_a_line(self._as_utf8(_chunks_of(sys.stdin.buffer)))
            else:
                with Path(self._path).open("rb") as file:
                    yield from _with_one_object_a_line(self._as_utf8(_chunks_of(file)))
        except OSError as error:
            self._fail(error.strerror or str(error))

    def _as_utf8(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        start, chunks = _peeked(chunks, compression.LONGEST_MAGIC)
        format_ = compression.format_of(start)
        if format_ is not None:
            data = compression.decompressed(chunks, format_, self._fail)
            start, chunks = _peeked(data, _LONGEST_MARK)
        for mark, encoding in _MARKS.items():
            if start.startswith(mark):
                return _recoded(chunks, encoding)
        if start.startswith(codecs.BOM_UTF8):
            return itertools.chain([next(chunks)[len(codecs.BOM_UTF8) :]], chunks)
        return chunks

    def _fail(self, reason: str) -> None:
        self.trouble = self.trouble or reason


def _with_one_object_a_line(chunks: Iterator[bytes]) -> Iterator[bytes]:
    start, chunks = _peeked(chunks, printed_json.LONGEST_START)
    return printed_json.one_a_line(chunks) if printed_json.is_printed(start) else chunks


def _recoded(chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for chunk in chunks:
        yield decoder.decode(chunk).encode("utf-8", "replace")
    yield decoder.decode(b"", final=True).encode("utf-8", "replace")


def _peeked(chunks: Iterator[bytes], least: int) -> tuple[bytes, Iterator[bytes]]:
    """The first bytes, `least` or more unless there are fewer, and all chunks with them."""
    start = b""
    for chunk in chunks:
        start += chunk
        if len(start) >= least:
            break
    return start, itertools.chain([start] if start else [], chunks)


def _chunks_of(file: BinaryIO) -> Iterator[bytes]:
    """The bytes of a file as they come: a pipe may give less than a chunk at a time."""
    raw: Any = getattr(file, "raw", file)
    while (chunk := raw.read(_CHUNK)) != b"":
        if chunk is None:  # the file does not block
            select.select([file], [], [])
        else:
            yield chunk
