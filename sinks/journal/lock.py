"""The lock of a run: one process at a time may deliver the run's records."""

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
"""Seconds between two attempts to lock the file."""
_MOST_BYTES: Final = 20
"""The length of the count in a lock's file."""
_OPEN: Final = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK

LOCK_WAIT: Final = 0.05
"""Seconds to wait for a lock. `is_taken` of another process holds it for less than that."""


class RunLock:
    """A locked file. The kernel unlocks it when its process ends, however it ends, so nobody has to
    guess from a time-out whether the owner is alive.

    The file stays after a crash. It holds how many records the run had committed.
    """

    def __init__(self, path: Path, fd: int) -> None:
        self._path = path
        self._fd = fd

    @classmethod
    def take(cls, path: Path, within: float = 0.0) -> RunLock | None:
        """The lock; None if another process still holds it after `within` seconds.

        OSError if the file cannot be opened, or is not a lock.
        """
        give_up_at = time.monotonic() + within
        while True:
            fd = os.open(path, _OPEN | os.O_CREAT, 0o600)
            try:
                _check(fd)
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # The last owner may have deleted the file between `open` and `flock`.
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
        """Whether a living process holds the lock."""
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
        """Write how many records the run has committed."""
        # A full disk does no harm: the count is read after a crash only.
        with contextlib.suppress(OSError):
            os.pwrite(self._fd, b"%-20d" % count, 0)

    def committed(self) -> int:
        """How many records the previous owner had committed; 0 if the file does not say."""
        try:
            return int(os.pread(self._fd, _MOST_BYTES, 0) or b"0")
        except (OSError, ValueError):
            return 0

    def release(self) -> None:
        """Unlock and delete the file: this process is done with the run."""
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        os.close(self._fd)


def _check(fd: int) -> None:
    """Raise OSError if the file is not a lock. Make a lock private, whatever the umask was."""
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST_BYTES:
        raise FileExistsError(errno.EEXIST, "another file is in the place of the lock")
    if found.st_mode & 0o777 != 0o600 and found.st_uid == os.geteuid():
        os.fchmod(fd, 0o600)
