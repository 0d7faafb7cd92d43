"""The three standard streams, whatever state the relay was started with."""

from __future__ import annotations

import contextlib
import io
import os
import select
import sys
from typing import Any, Final

import click

_NAMES: Final = ("stdin", "stdout", "stderr")
_closed: set[int] = set()


def take_over() -> None:
    """Make the standard streams safe to use, before anything else is opened.

    One that was closed (`>&-`) becomes the null device: its number would go to the next file or
    socket, and what is printed would be written into that. One that does not block, as a parent
    may have left it, is waited for instead of failing in the middle of a line.
    """
    for fd, name in enumerate(_NAMES):
        try:
            os.fstat(fd)
        except OSError:
            _closed.add(fd)
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
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
    """Whether that standard stream was closed when the relay was started."""
    return fd in _closed


def wait_for_room(fd: int) -> None:
    """Wait until something can be written, or nobody reads any more."""
    room = select.poll()
    room.register(fd, select.POLLOUT)
    room.poll()


def write_error(data: bytes) -> None:
    """Write to standard error, all of it, unless nobody reads that any more."""
    with contextlib.suppress(OSError):
        while data:
            try:
                data = data[os.write(2, data) :]
            except BlockingIOError:
                wait_for_room(2)


def say(line: str) -> None:
    """Print a line, as long as standard output can be written to: who reads it may be gone, or its
    disk full, and that must not decide how a task ends."""
    try:
        click.echo(line)
    except OSError:
        # What is still buffered would fail again when Python exits.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)


class _PatientFile(io.FileIO):
    """A file that takes all of its time where it was set not to block."""

    def write(self, data: Any, /) -> int:
        while (written := super().write(data)) is None:
            wait_for_room(self.fileno())
        return written


class _MessageFile(_PatientFile):
    """A file for messages: that it is full, or nobody reads it any more, stops nothing."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)
