"""Writes records as JSON lines to a file or a stream, each line at once."""

from __future__ import annotations

import errno
import os
import select
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from ..records.values import encode
from .sink import Delivered, Hold, Retry, Verdict

if TYPE_CHECKING:
    from ..records.schema import Record


_SLOW_READER_MS: Final = 1000
"""How long a full pipe may wait for its reader, in milliseconds."""


class JsonlSink:
    """Appends one line for each record. A later line with the same key replaces an earlier line.

    A FIFO is opened once there is a record and a reader. Until then the records wait.
    """

    most_workers = 1

    def __init__(self, target: Path | BinaryIO, name: str | None = None) -> None:
        """Opens a path for appending; OSError if that fails. A stream is used as it is."""
        self.name = name or f"jsonl:{target if isinstance(target, Path) else '-'}"
        self.address = {"path": str(target.absolute())} if isinstance(target, Path) else {}
        self._owned = isinstance(target, Path)
        self._fifo = target if isinstance(target, Path) and target.is_fifo() else None
        self._rest = b""
        self._file: BinaryIO | None = None
        if not isinstance(target, Path):
            self._file = target
        elif self._fifo is None:
            # Without a buffer: after a full disk, `close` would fail on what is left in it.
            self._file = target.open("ab", buffering=0)
            if _ends_within_a_line(target):
                # A kill or a full disk cut off the last line. The first new line must not join it.
                self._rest = b"\n"
        elif not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def send(self, record: Record) -> Verdict:
        line = encode(record.to_json()) + b"\n"
        try:
            file: Any = self._file or self._open_fifo()
        except OSError as error:
            if error.errno == errno.ENXIO:
                return Hold(f"nobody reads the FIFO {self._fifo}: start its reader")
            return Retry(f"cannot write the JSON line: {error}")
        left = self._rest + line
        try:
            while left:
                written = file.write(left)
                if written is None and not _has_room(file):
                    return Retry("the reader of the JSON lines is too slow")
                left = left[written or 0 :]
            file.flush()
        except (BrokenPipeError, ValueError):
            self._close_fifo()
            return Hold("nobody reads the JSON lines any more: their pipe or file was closed")
        except OSError as error:
            return Retry(f"cannot write the JSON line: {error}")
        finally:
            # The next write completes a line that was begun, so that each line is whole.
            self._rest = left if len(left) < len(line) else left[: len(left) - len(line)]
            if self._file is None:  # the next reader of a FIFO must not get half a line
                self._rest = b""
        return Delivered()

    def close(self) -> None:
        if self._owned and self._file is not None:
            self._file.close()

    def _open_fifo(self) -> BinaryIO:
        # Without O_NONBLOCK this blocks until there is a reader.
        fd = os.open(self._fifo or "", os.O_WRONLY | os.O_NONBLOCK)
        self._file = os.fdopen(fd, "wb", buffering=0)
        return self._file

    def _close_fifo(self) -> None:
        """The reader of a FIFO went away. Another one may come."""
        if self._fifo is not None and self._file is not None:
            self._file.close()
            self._file = None


def _has_room(file: BinaryIO) -> bool:
    """Whether a file takes more within a second. A lost reader counts: the write will fail."""
    room = select.poll()
    room.register(file, select.POLLOUT)
    return bool(room.poll(_SLOW_READER_MS))


def _ends_within_a_line(path: Path) -> bool:
    try:
        if not path.is_file() or path.stat().st_size == 0:
            return False
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except OSError:  # a file may allow appending but not reading
        return False
