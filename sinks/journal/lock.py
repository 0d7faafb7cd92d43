"""Who may deliver a run's records: one process at a time, known to the kernel."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

_POLL: Final = 0.01
_WIDTH: Final = 20
_OPEN: Final = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK

GLANCE: Final = 0.05
"""Seconds; longer than `is_taken` of another process has it."""


class RunLock:
    """A locked file. The kernel unlocks it when the process ends, in whatever way, so nobody has to
    guess by time-outs whether the owner still lives.

    The file outlives a crash. It holds how many records were committed under it.
    """

    def __init__(self, path: Path, fd: int) -> None:
        self._path = path
        self._fd = fd

    @classmethod
    def take(cls, path: Path, within: float = 0.0) -> RunLock | None:
        """The lock; None if another process holds it for `within` seconds.

        Raises OSError where no file can be locked.
        """
        give_up_at = time.monotonic() + within
        while True:
            fd = os.open(path, _OPEN | os.O_CREAT, 0o600)
            try:
                _check(fd)
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Between open and lock its last owner may have removed it.
                if os.path.samestat(os.fstat(fd), os.stat(path)):
                    return cls(path, fd)
            except FileNotFoundError:
                pass
            except BlockingIOError:
                if time.monotonic() >= give_up_at:
                    os.close(fd)
                    return None
                time.sleep(_POLL)
            except OSError:
                os.close(fd)
                raise
            os.close(fd)

    @staticmethod
    def is_taken(path: Path) -> bool:
        """Whether a living process holds it."""
        try:
            fd = os.open(path, _OPEN)
        except OSError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def set_committed(self, count: int) -> None:
        """Write down how many records are committed by now."""
        with contextlib.suppress(OSError):  # a full disk: the count is for after a crash only
            os.pwrite(self._fd, b"%-20d" % count, 0)

    def committed(self) -> int:
        """How many records the owner before had committed; 0 if it did not say."""
        try:
            return int(os.pread(self._fd, _WIDTH, 0) or b"0")
        except (OSError, ValueError):
            return 0

    def release(self) -> None:
        """Unlock, and delete the file: this process is done with the run."""
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        os.close(self._fd)


def _check(fd: int) -> None:
    """Raise OSError for a file that is no lock of ours. Make a lock private, whatever the umask."""
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_size > _WIDTH:
        raise FileExistsError(errno.EEXIST, "there is another file where a lock should be")
    if found.st_mode & 0o777 != 0o600 and found.st_uid == os.geteuid():
        os.fchmod(fd, 0o600)
