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


class Claim:
    """A locked file. The kernel unlocks it when its process ends, however that comes about, so
    nobody has to guess by time-outs whether the owner still lives.

    The file outlives a crash and holds the number of records that were committed under it.
    """

    def __init__(self, path: Path, fd: int) -> None:
        self._path = path
        self._fd = fd

    @classmethod
    def take(cls, path: Path, within: float = 0.0) -> Claim | None:
        """The claim, None if another has had it for `within` seconds; OSError if none can be."""
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
        """Whether a living process has it."""
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

    def note(self, committed: int) -> None:
        """Say how many records are committed by now."""
        with contextlib.suppress(OSError):  # a full disk: the count is for after a crash only
            os.pwrite(self._fd, b"%-20d" % committed, 0)

    def noted(self) -> int:
        """What the owner before said last."""
        try:
            return int(os.pread(self._fd, _WIDTH, 0) or b"0")
        except (OSError, ValueError):
            return 0

    def release(self) -> None:
        """Give it back for good: the run is over."""
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        os.close(self._fd)


def _check(fd: int) -> None:
    """OSError for what is no claim; and only its owner may read one, whatever the umask."""
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_size > _WIDTH:
        raise FileExistsError(errno.EEXIST, "there is another file where a claim should be")
    if found.st_mode & 0o777 != 0o600 and found.st_uid == os.geteuid():
        os.fchmod(fd, 0o600)
