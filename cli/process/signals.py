"""Signals to the relay, read as data: no handler acts on them."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import FrameType, TracebackType

STOP: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
FORWARDED: Final = (signal.SIGUSR1, signal.SIGUSR2)


def _received(_signum: int, _frame: FrameType | None) -> None:
    """Python has written the number to the wakeup pipe. Nothing else is to be done."""


@contextmanager
def signals_held() -> Generator[None, None, None]:
    """Hold signals until the end of the block. Use it around a fork.

    A signal to the relay's whole group reaches the new process, too. Its inherited handler would
    write to the relay's pipe, where a second signal means to kill.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Signals:
    """While it is entered, a signal makes `fileno()` readable and does not end the process.

    Enter it in the main thread: no other thread can set handlers. Under `nohup` SIGHUP stays
    ignored. SIGINT does not stay ignored, as a shell sets it in the background: dbt must get it,
    and only a signal with a handler has its default back after exec.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._before: dict[int, signal.Handlers] = {}

    def __enter__(self) -> Signals:
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for signum in (*STOP, *FORWARDED, signal.SIGCHLD):
            if signum == signal.SIGHUP and signal.getsignal(signum) == signal.SIG_IGN:
                continue
            self._before[signum] = signal.signal(signum, _received)  # type: ignore[assignment]
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
        """The numbers of the signals since the last call, in order."""
        try:
            return list(os.read(self._read, 4096))
        except BlockingIOError:
            return []
