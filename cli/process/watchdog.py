"""A process that outlives the relay just long enough to end what the relay started."""

from __future__ import annotations

import contextlib
import os
import signal

from .signals import held


class Watchdog:
    """Kills the process group `group` when the relay dies without having dismissed it.

    The kernel's parent-death signal reaches only the relay's own child. Where that is a shell or
    `uv run`, dbt is its grandchild and would run on. The watchdog holds one end of a pipe whose
    other end is the relay's: a relay that is killed closes it.
    """

    def __init__(self, group: int) -> None:
        read, self._write = os.pipe()
        with held():
            self._pid = os.fork()
            if self._pid == 0:
                _watch(read, group)
        os.close(read)

    def dismiss(self) -> None:
        """The group is no longer of interest."""
        if self._write < 0:
            return
        with contextlib.suppress(BrokenPipeError):
            os.write(self._write, b".")
        os.close(self._write)
        self._write = -1
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


def _watch(read: int, group: int) -> None:
    # A forked Python may do little: no imports, no buffers, no return into the relay's code.
    # Signals stay held, so that only SIGKILL ends it early.
    try:
        os.setsid()
        os.dup2(read, 0)
        # What it keeps open a reader elsewhere waits for. Not `closerange`: where the limit of
        # open files is 2**30, as in some containers, that takes minutes.
        for fd in os.listdir("/dev/fd"):
            if fd != "0":
                with contextlib.suppress(OSError):
                    os.close(int(fd))
        if os.read(0, 1) == b"":
            os.killpg(group, signal.SIGKILL)
    finally:
        os._exit(0)
