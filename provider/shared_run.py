"""One dbt for several tasks that want to run their nodes again at the same time.

Two dbt beside each other may be in each other's way: DuckDB locks its file. So the tasks of one
DAG run on one machine take turns, and the first in turn runs the nodes of all that wait.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import time
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_GATHER: Final = 2.0
"""Seconds in which tasks that a person clears together begin (Airflow 3.3, LocalExecutor)."""
_GLANCE: Final = 0.2
_TAKEN: Final = ".taken"


class SharedRun:
    """The turn of one task. `place` names what cannot be used by two dbt at once.

    Each waiting task leaves a file with its nodes. The task in turn takes all files and deletes
    them when its dbt has ended. If it dies before, each of the others finds its file still there.
    """

    def __init__(self, place: tuple[str, ...], nodes: str) -> None:
        digest = hashlib.sha256("\0".join(place).encode()).hexdigest()[:20]
        self._folder = Path(tempfile.gettempdir(), f"dbt-relay-{os.getuid()}", digest)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._own = self._folder / f"{uuid.uuid4().hex}.nodes"
        self._own.write_text(nodes)

    @contextmanager
    def turn(self) -> Iterator[str | None]:
        """Wait for the turn. Yields the nodes to run; None if another task has run them."""
        with (self._folder / "lock").open("w") as lock:
            while not _locked(lock.fileno()):
                time.sleep(_GLANCE)
            taken: list[Path] = []
            try:
                if not self._is_waiting():
                    yield None
                    return
                time.sleep(_GATHER)
                taken = self._take()
                yield " ".join(dict.fromkeys(path.read_text() for path in taken))
            finally:
                for path in (*taken, self._own):
                    path.unlink(missing_ok=True)

    def _is_waiting(self) -> bool:
        return self._own.exists() or self._own.with_suffix(_TAKEN).exists()

    def _take(self) -> list[Path]:
        """Take what waits. A file that somebody took before is of a task that died."""
        waiting = [*self._folder.glob("*.nodes"), self._own.with_suffix(_TAKEN)]
        return [path.rename(path.with_suffix(_TAKEN)) for path in waiting if path.exists()]


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
