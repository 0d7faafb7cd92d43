"""A saved log as bytes of UTF-8: from a file, a pipe or standard input, compressed or not."""

from __future__ import annotations

import codecs
import contextlib
import itertools
import select
import stat
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from . import printed_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

_CHUNK: Final = 1 << 16
_STEP: Final = 1 << 13
"""Compressed bytes at a time: what they grow to fits into memory."""

_HEAD: Final = 1 << 16
_SCAN: Final = 1 << 20
_LONGEST_MAGIC: Final = 6
_GZIP: Final = b"\x1f\x8b"
_BZIP2: Final = b"BZh"
_XZ: Final = b"\xfd7zXZ\x00"
_MARKS: Final = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    b"{\x00": "utf-16-le",
    b"\x00{": "utf-16-be",
}
"""How a file begins that is not UTF-8, longer marks first. A JSON log begins with a brace."""


class SavedLog:
    """One log, read once.

    `head` is its beginning, `size` the bytes so far, both uncompressed; `trouble` says why it
    could not be read to its end.
    """

    def __init__(self, path: str) -> None:
        self.name = "standard input" if path == "-" else path
        self.head = b""
        self.size = 0
        self.trouble: str | None = None
        self._path = path
        self._chunks = self._read()
        for chunk in self._chunks:
            # Of a pipe the first bytes say what the rest will be: it is not waited for.
            self.head = chunk[:_HEAD]
            self._chunks = itertools.chain([chunk], self._chunks)
            break

    @property
    def is_stream(self) -> bool:
        """Whether more may come than is there now."""
        if self._path == "-":
            return True
        try:
            return not stat.S_ISREG(Path(self._path).stat().st_mode)
        except OSError:
            return True

    def chunks(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            if len(self.head) < _HEAD and self.size:
                self.head += chunk[: _HEAD - len(self.head)]
            self.size += len(chunk)
            yield chunk

    def holds(self, word: bytes) -> bool:
        """Whether a word of a few bytes stands somewhere in a file that is not compressed."""
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
                yield from _in_lines(self._plain(_chunks_of(sys.stdin.buffer)))
            else:
                with Path(self._path).open("rb") as file:
                    yield from _in_lines(self._plain(_chunks_of(file)))
        except OSError as error:
            self._fail(error.strerror or str(error))

    def _plain(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        start, chunks = _begun(chunks, _LONGEST_MAGIC)
        packing = next((p for p in _PACKINGS if start.startswith(p.magic)), None)
        if packing is not None:
            start, chunks = _begun(_unpacked(chunks, packing, self._fail), 4)
        for mark, encoding in _MARKS.items():
            if start.startswith(mark):
                return _recoded(chunks, encoding)
        if start.startswith(codecs.BOM_UTF8):
            return itertools.chain([next(chunks)[len(codecs.BOM_UTF8) :]], chunks)
        return chunks

    def _fail(self, reason: str) -> None:
        self.trouble = self.trouble or reason


@dataclass(frozen=True, slots=True)
class _Packing:
    name: str
    magic: bytes
    decoder: Callable[[], Any]
    """What has `decompress`, `eof` and `unused_data`. ImportError if this Python has none."""


def _gzip_decoder() -> Any:
    return zlib.decompressobj(wbits=31)


def _bzip2_decoder() -> Any:
    import bz2  # noqa: PLC0415 - not every Python was built with it

    return bz2.BZ2Decompressor()


def _xz_decoder() -> Any:
    import lzma  # noqa: PLC0415 - not every Python was built with it

    return lzma.LZMADecompressor()


_PACKINGS: Final = (
    _Packing("gzip", _GZIP, _gzip_decoder),
    _Packing("bzip2", _BZIP2, _bzip2_decoder),
    _Packing("xz", _XZ, _xz_decoder),
)


def _unpacked(
    chunks: Iterator[bytes], packing: _Packing, fail: Callable[[str], None]
) -> Iterator[bytes]:
    """What was packed, in one part or several, up to where it is damaged."""
    decoder: Any = None
    rest = b""
    for chunk in chunks:
        for at in range(0, len(chunk), _STEP):
            rest += chunk[at : at + _STEP]
            while rest:
                if decoder is None:
                    rest = rest.lstrip(b"\x00")  # a tape's or a disk's padding
                    if not rest.startswith(packing.magic):
                        if packing.magic.startswith(rest):
                            break
                        fail(f"what follows its {packing.name} data is something else")
                        return
                    try:
                        decoder = packing.decoder()
                    except ImportError:
                        fail(f"this Python cannot read {packing.name}")
                        return
                text, error = _decoded(decoder, rest)
                yield text
                if error is not None:
                    fail(f"its {packing.name} data is damaged ({error})")
                    return
                rest = decoder.unused_data
                if decoder.eof:
                    decoder = None
    if decoder is not None or rest:
        fail(f"its {packing.name} data breaks off")


def _decoded(decoder: Any, data: bytes) -> tuple[bytes, Exception | None]:
    """What the next bytes decode to, and what is wrong with them."""
    before = decoder.copy() if hasattr(decoder, "copy") else None
    try:
        return decoder.decompress(data), None
    except (zlib.error, OSError, EOFError, ValueError) as error:
        reason: Exception = error
    except Exception as error:  # lzma.LZMAError, which is not known where there is no lzma
        if type(error).__name__ != "LZMAError":
            raise
        reason = error
    text = b""
    if before is not None:
        # Byte by byte: what stands before the damage is whole.
        with contextlib.suppress(zlib.error):
            for at in range(len(data)):
                text += before.decompress(data[at : at + 1])
    return text, reason


def _in_lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    start, chunks = _begun(chunks, printed_json.LONGEST_START)
    return printed_json.one_a_line(chunks) if printed_json.is_printed(start) else chunks


def _recoded(chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for chunk in chunks:
        yield decoder.decode(chunk).encode("utf-8", "replace")
    yield decoder.decode(b"", final=True).encode("utf-8", "replace")


def _begun(chunks: Iterator[bytes], least: int) -> tuple[bytes, Iterator[bytes]]:
    """The first bytes, at least so many if there are, and all of the chunks again."""
    start = b""
    for chunk in chunks:
        start += chunk
        if len(start) >= least:
            break
    return start, itertools.chain([start] if start else [], chunks)


def _chunks_of(file: BinaryIO) -> Iterator[bytes]:
    """What is there, as it comes: of a pipe less than a chunk at a time."""
    raw: Any = getattr(file, "raw", file)
    while (chunk := raw.read(_CHUNK)) != b"":
        if chunk is None:  # it does not block
            select.select([file], [], [])
        else:
            yield chunk
