"""The three standard streams, made safe whatever state the relay was started with."""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_NAMES: Final = ("stdin", "stdout", "stderr")
_closed: set[int] = set()
_stderr_takers: list[Callable[[bytes], object]] = []


def make_safe() -> None:
    """Make the standard streams safe to use, before anything else is opened.

    A stream that was closed (`>&-`) becomes the null device. Otherwise the next file or socket
    would get its number, and the relay would print into that file. A stream that a parent process
    set not to block is waited for; it would fail in the middle of a line.
    """
    for fd, name in enumerate(_NAMES):
        try:
            os.fstat(fd)
        except OSError:
            _closed.add(fd)
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(fd, "r" if fd == 0 else "w", closefd=False))  # noqa: SIM115
    for name, kind in (("stdout", _PatientFile), ("stderr", _MessageFile)):
        stream = getattr(sys, name)
        patient = io.TextIOWrapper(
            io.BufferedWriter(kind(stream.fileno(), "wb", closefd=False)),
            encoding=stream.encoding,
            errors=stream.errors,
            line_buffering=stream.line_buffering,
        )
        setattr(sys, name, patient)


def was_closed(fd: int) -> bool:
    """Whether the standard stream of this number was closed when the relay was started."""
    return fd in _closed


def wait_for_room(fd: int) -> None:
    """Wait until the stream takes bytes again, or nobody reads it any more."""
    room = select.poll()
    room.register(fd, select.POLLOUT)
    room.poll()


def write_stderr(data: bytes) -> None:
    """Write all bytes to standard error, unless nobody reads it any more."""
    if _stderr_takers:
        _stderr_takers[-1](data)
        return
    with contextlib.suppress(OSError):
        while data:
            try:
                data = data[os.write(2, data) :]
            except BlockingIOError:
                wait_for_room(2)


@contextlib.contextmanager
def stderr_taken(take: Callable[[bytes], object]) -> Generator[None]:
    """Until the end of the block, give all text for standard error to `take`."""
    before, taken = sys.stderr, io.BufferedWriter(_TakenFile(take))
    _stderr_takers.append(take)
    sys.stderr = io.TextIOWrapper(
        taken, before.encoding, before.errors, line_buffering=True, write_through=True
    )
    try:
        yield
    finally:
        sys.stderr.flush()
        sys.stderr = before
        _stderr_takers.pop()


def say(line: str) -> None:
    """Print a line to standard output. A reader that is gone, or a full disk, is no error: it must
    not decide how a task ends."""
    try:
        click.echo(line)
    except OSError:
        # Python would write the rest of the buffer when it exits, and fail again.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)


class _PatientFile(io.FileIO):
    """A file whose writes wait for room, even where it was set not to block."""

    def write(self, data: Any, /) -> int:
        while (written := super().write(data)) is None:
            wait_for_room(self.fileno())
        return written


class _MessageFile(_PatientFile):
    """A file for messages. A message that cannot be written is dropped."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)


class _TakenFile(io.RawIOBase):
    """A file whose bytes somebody else takes."""

    def __init__(self, take: Callable[[bytes], object]) -> None:
        self._take = take

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self._take(bytes(data))
        return len(data)
