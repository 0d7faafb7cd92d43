"""Compressed logs, read as far as they are whole."""

from __future__ import annotations

import contextlib
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_STEP: Final = 1 << 13
"""Compressed bytes at a time. The bytes that they expand to fit into memory."""


@dataclass(frozen=True, slots=True)
class Format:
    """A format of compressed data, with the bytes that it begins with."""

    name: str
    magic: bytes
    decoder: Callable[[], Any]
    """Makes an object with `decompress`, `eof` and `unused_data`. Raises ImportError if this
    Python was built without the format."""


def _gzip_decoder() -> Any:
    return zlib.decompressobj(wbits=31)


def _bzip2_decoder() -> Any:
    import bz2  # noqa: PLC0415 - not every Python was built with it

    return bz2.BZ2Decompressor()


def _xz_decoder() -> Any:
    import lzma  # noqa: PLC0415 - not every Python was built with it

    return lzma.LZMADecompressor()


_FORMATS: Final = (
    Format("gzip", b"\x1f\x8b", _gzip_decoder),
    Format("bzip2", b"BZh", _bzip2_decoder),
    Format("xz", b"\xfd7zXZ\x00", _xz_decoder),
)
LONGEST_MAGIC: Final = max(len(format_.magic) for format_ in _FORMATS)


def format_of(start: bytes) -> Format | None:
    """The format of data that begins with these bytes; None if it is not compressed."""
    return next((f for f in _FORMATS if start.startswith(f.magic)), None)


def decompressed(
    chunks: Iterable[bytes], format_: Format, fail: Callable[[str], None]
) -> Iterator[bytes]:
    """The data, which may be several compressed parts, up to the first damage.

    `fail` is called with a reason, for a person, if the data is not whole.
    """
    decoder: Any = None
    rest = b""
    for piece in _pieces(chunks):
        rest += piece
        while rest:
            if decoder is None:
                rest = rest.lstrip(b"\x00")  # padding of a tape or a disk
                if not rest.startswith(format_.magic):
                    if format_.magic.startswith(rest):
                        break
                    fail(f"other data follows its {format_.name} data")
                    return
                try:
                    decoder = format_.decoder()
                except ImportError:
                    fail(f"this Python cannot read {format_.name}")
                    return
            data, error = _decode(decoder, rest)
            yield data
            if error is not None:
                fail(f"its {format_.name} data is damaged ({error})")
                return
            rest = decoder.unused_data
            if decoder.eof:
                decoder = None
    if decoder is not None or rest:
        fail(f"its {format_.name} data breaks off")


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        for at in range(0, len(chunk), _STEP):
            yield chunk[at : at + _STEP]


def _decode(decoder: Any, data: bytes) -> tuple[bytes, Exception | None]:
    """The next bytes decompressed, and the error if they are damaged."""
    before = decoder.copy() if hasattr(decoder, "copy") else None
    try:
        return decoder.decompress(data), None
    except (zlib.error, OSError, EOFError, ValueError) as error:
        reason: Exception = error
    except Exception as error:  # lzma.LZMAError has no name here if Python has no lzma
        if type(error).__name__ != "LZMAError":
            raise
        reason = error
    text = b""
    if before is not None:
        # Byte by byte, as everything before the damage is whole.
        with contextlib.suppress(zlib.error):
            for at in range(len(data)):
                text += before.decompress(data[at : at + 1])
    return text, reason
