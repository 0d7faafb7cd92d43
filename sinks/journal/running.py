"""Which nodes run now: told by the process of a run to those who watch, while somebody does.

Both sides meet beside the lock of the run. Who watches touches one file; the process of the run
writes the other. A run that nobody watches writes nothing.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Final

import orjson

from ...records.values import is_array

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_FRESH: Final = 5.0
"""Seconds for which a question and an answer hold."""


class RunningNodes:
    """The nodes that run, of the run whose lock is the file `lock`.

    Nothing here raises: what cannot be written is not told.
    """

    def __init__(self, lock: Path) -> None:
        self._question = lock.with_name(f"{lock.name}.watched")
        self._answer = lock.with_name(f"{lock.name}.running")

    def ask(self) -> dict[str, str]:
        """The start of each node that runs, by unique_id; empty if nobody has told it yet.

        Ask again within a few seconds to go on being told, and then `forget`.
        """
        with contextlib.suppress(OSError):
            os.close(os.open(self._question, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600))
            os.utime(self._question)
        if not _is_fresh(self._answer):
            return {}
        try:
            told = orjson.loads(self._answer.read_bytes())
        except (OSError, ValueError):
            return {}
        pairs = told if is_array(told) else ()
        return {str(pair[0]): str(pair[1]) for pair in pairs if is_array(pair) and len(pair) == 2}

    @property
    def is_asked(self) -> bool:
        """Whether somebody watches."""
        return _is_fresh(self._question)

    def tell(self, since: Mapping[str, str]) -> None:
        """Answer with the start of each node that runs, by unique_id."""
        new = self._answer.with_name(f"{self._answer.name}.new")
        with contextlib.suppress(OSError):
            fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(fd, "wb") as file:
                file.write(orjson.dumps([*since.items()]))
            new.replace(self._answer)

    def forget(self) -> None:
        """Delete both files: the run is over, or this process watches no longer."""
        for file in (self._question, self._answer):
            with contextlib.suppress(OSError):
                file.unlink()


def _is_fresh(file: Path) -> bool:
    try:
        return abs(time.time() - file.stat().st_mtime) < _FRESH
    except OSError:
        return False
