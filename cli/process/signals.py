"""Signals to the relay, read as data instead of acted upon in a handler."""

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


def _noted(_signum: int, _frame: FrameType | None) -> None:
    """Python writes the number to the wakeup pipe; there is nothing else to do."""


@contextmanager
def held() -> Generator[None, None, None]:
    """Signals wait until the end of the block, to be put around a fork.

    A signal to the relay's whole group would reach the new process too, and its inherited handler
    would report it through the relay's own pipe: a second signal, which means to kill.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Signals:
    """While entered, a signal makes `fileno()` readable instead of ending the process.

    For the main thread, which alone can have handlers. Under `nohup` SIGHUP stays ignored. SIGINT
    does not, as it would in the background of a shell: a signal with a handler has its default
    back after exec, and dbt must hear SIGINT.
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
