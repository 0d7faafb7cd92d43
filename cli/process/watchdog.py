"""A process that outlives a killed relay just long enough to kill what the relay started."""

from __future__ import annotations

import contextlib
import os
import signal

from .signals import signals_held


class Watchdog:
    """Kills the process group `group` if the relay dies without a call to `dismiss`.

    The kernel's parent-death signal reaches only the relay's own child. If the child is a shell or
    `uv run`, dbt is a grandchild and would run on. The watchdog reads from a pipe of the relay,
    which the kernel closes when the relay is killed.
    """

    def __init__(self, group: int) -> None:
        read, self._write = os.pipe()
        with signals_held():
            self._pid = os.fork()
            if self._pid == 0:
                _watch(read, group)
        # On both sides of the fork: whoever comes first, a signal to the relay's group from now on
        # leaves the watchdog alive.
        with contextlib.suppress(OSError):
            os.setpgid(self._pid, self._pid)
        os.close(read)

    def dismiss(self) -> None:
        """Leave the group alone from now on."""
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
    # Signals stay held, so only SIGKILL ends it early.
    try:
        os.setpgid(0, 0)
        os.dup2(read, 0)
        # The reader of a pipe waits as long as this process holds the pipe open. `closerange` would
        # take minutes where the limit of open files is 2**30, as in some containers.
        for fd in os.listdir("/dev/fd"):
            if fd != "0":
                with contextlib.suppress(OSError):
                    os.close(int(fd))
        if os.read(0, 1) == b"":
            os.killpg(group, signal.SIGKILL)
    finally:
        os._exit(0)
