"""Signals to the relay, read as data instead of acted upon in a handler."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import FrameType, TracebackType

STOP: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
FORWARDED: Final = (signal.SIGUSR1, signal.SIGUSR2)


def _noted(_signum: int, _frame: FrameType | None) -> None:
    """Python writes the number to the wakeup pipe; there is nothing else to do."""


class Signals:
    """While entered, a signal makes `fileno()` readable instead of ending the process.

    For the main thread, which alone can have handlers.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._before: dict[int, signal.Handlers] = {}

    def __enter__(self) -> Signals:
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for signum in (*STOP, *FORWARDED, signal.SIGCHLD):
            self._before[signum] = signal.signal(signum, _noted)  # type: ignore[assignment]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        signal.set_wakeup_fd(-1)
        os.close(self._read)
        os.close(self._write)

    def fileno(self) -> int:
        return self._read

    def take(self) -> list[int]:
        """The numbers of the signals that came since the last call, in order."""
        try:
            return list(os.read(self._read, 4096))
        except BlockingIOError:
            return []
