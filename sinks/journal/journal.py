"""The journal of a state folder: the runs in it, each of which one process delivers."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING

from . import salvage
from .database import Database
from .run import JournalRun

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

    from .rows import RunInfo


class Journal:
    """The journal that all relays of a machine share. Any thread may call any method.

    `database` holds it; see there what happens where the file is damaged or cannot be written.
    `warn` is told once of each such trouble.
    """

    def __init__(
        self, state_dir: Path | None, warn: Callable[[str], object] = lambda _: None
    ) -> None:
        """Opens or creates it; None for one in memory. Raises nothing over the file's state."""
        self._runs: list[JournalRun] = []
        self._unkept = 0
        self.database = Database(state_dir, warn, on_replaced=self._move_runs)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def state_dir(self) -> Path | None:
        return self.database.state_dir

    @property
    def file(self) -> Path | None:
        """The file with the records; None if they are only in memory."""
        return self.database.file

    @property
    def trouble(self) -> str | None:
        """Why the journal is in memory although there is a state folder."""
        return self.database.trouble

    @property
    def remedy(self) -> str | None:
        """What to do about the trouble."""
        return self.database.remedy

    @property
    def unkept(self) -> int:
        """How many nodes have their newest record in memory only."""
        return self._unkept + sum(len(run.unkept) for run in self._runs)

    def begin(self, info: RunInfo) -> JournalRun:
        """A new run, locked by this process."""
        run = JournalRun(self.database, info, uuid.uuid4().hex, on_close=self._forget)
        run.begin()
        self._runs.append(run)
        return run

    def adopt(self, number: int) -> JournalRun | None:
        """A run whose relay is gone, locked by this process now; None if a living process has it.

        LookupError if there is no such run, OSError where it cannot be locked.
        """
        run = JournalRun.find(self.database, number, self._forget)
        if not run.take_lock():
            return None
        self._runs.append(run)
        return run

    def close(self) -> None:
        """Also releases the lock of every run that is still open."""
        with self.database.closing():
            for run in [*self._runs]:
                run.close()

    def _forget(self, run: JournalRun) -> None:
        """This process has nothing more to do with the run."""
        with contextlib.suppress(ValueError):
            self._runs.remove(run)
            self._unkept += len(run.unkept)

    def _move_runs(self, old: sqlite3.Connection, new: sqlite3.Connection) -> None:
        if self.file is None:
            salvage.copy(old, new, [run.number for run in self._runs])
        for run in self._runs:
            run.move(new)
