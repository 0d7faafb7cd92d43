"""A pipe with a name, into which dbt v2 writes its telemetry while it prints as ever."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

CAN_NAME_PIPES: Final = hasattr(os, "mkfifo")


class TelemetryPipe:
    """Makes a FIFO that only this user can open, and removes it at the end.

    `path` is for dbt, `fileno()` for a selector. The pipe is never at its end, as this process
    holds it open for writing too: a wrapper may start several dbts, one after the other. dbt v2
    writes from a thread of its own, with a queue before it, and never waits for a reader.

    Raises OSError if no FIFO can be made.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="dbt-relay-"))
        try:
            self.path = self._folder / "telemetry.jsonl"
            os.mkfifo(self.path, 0o600)
            self._fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise

    def __enter__(self) -> TelemetryPipe:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
        shutil.rmtree(self._folder, ignore_errors=True)

    def fileno(self) -> int:
        return self._fd

    def read(self, size: int) -> bytes:
        """The next bytes; none if there are none now."""
        with contextlib.suppress(BlockingIOError):
            return os.read(self._fd, size)
        return b""
