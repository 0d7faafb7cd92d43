"""Runs the rows of the matrix, two at a time, each in a process of its own."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from matrix.table import FAILED
from support import census

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_LANES = 2
_ALONE = frozenset({"airflow", "production"})
"""Parts of which one row runs at a time: an Airflow is five processes."""
_STOP_WITHIN = 60.0

Cells = list[str] | None
"""The cells of a row; None if the machine lacks what the row needs."""


class Row(NamedTuple):
    part: str
    release: str


def run_all(rows: list[Row]) -> dict[Row, Cells]:
    """The cells of each row. A row that fails as a whole says so in its cells.

    Ends all that runs if this process is told to stop, and raises KeyboardInterrupt.
    """
    with _guarded() as environ:
        lanes = _Lanes(rows, environ)
        threads = [threading.Thread(target=lanes.work) for _ in range(_LANES)]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except KeyboardInterrupt:
            lanes.stop()
            raise
    return lanes.found


@contextmanager
def _guarded() -> Iterator[dict[str, str]]:
    """The environment for rows. What they leave is killed when the block or this process ends."""
    name, value = "ROW_OF_MATRIX", secrets.token_hex(8)
    command = [sys.executable, census.__file__, f"{name}={value}"]
    guard = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield {**os.environ, name: value}
    finally:
        guard.communicate()


class _Lanes:
    def __init__(self, rows: list[Row], environ: Mapping[str, str]) -> None:
        self.found: dict[Row, Cells] = {}
        self._left = [*rows]
        self._environ = environ
        self._is_stopped = False
        self._running: dict[Row, subprocess.Popen[bytes]] = {}
        self._changed = threading.Condition()

    def work(self) -> None:
        """Run one row after the other until none is left."""
        while (row := self._start_next()) is not None:
            began_at = time.monotonic()
            out, _ = self._running[row].communicate()
            cells = _cells(row, out, self._running[row].returncode)
            seconds = time.monotonic() - began_at
            with self._changed:
                if not self._is_stopped:
                    print(f"{row.part} {row.release}: {cells} ({seconds:.0f} s)", file=sys.stderr)
                self.found[row] = cells
                del self._running[row]
                self._changed.notify_all()

    def stop(self) -> None:
        """Tell the processes of all rows to end, and wait for it. They end their servers."""
        with self._changed:
            self._is_stopped = True
            self._left.clear()
            for process in self._running.values():
                process.terminate()
            if not self._changed.wait_for(lambda: not self._running, _STOP_WITHIN):
                for process in self._running.values():
                    process.kill()

    def _start_next(self) -> Row | None:
        """Start the first row that may run now; None if none is left."""
        with self._changed:
            while self._left:
                is_busy = any(row.part in _ALONE for row in self._running)
                row = next((r for r in self._left if not (is_busy and r.part in _ALONE)), None)
                if row is not None:
                    self._left.remove(row)
                    command = [sys.executable, Path(__file__).parent, "--row", *row]
                    # In a session of its own, so that Ctrl-C reaches it only by `stop`.
                    self._running[row] = subprocess.Popen(
                        command, env=self._environ, stdout=subprocess.PIPE, start_new_session=True
                    )
                    return row
                self._changed.wait()
            return None


def _cells(row: Row, out: bytes, code: int) -> Cells:
    """What the process of a row has printed in its last line."""
    try:
        if code == 0:
            return json.loads(out.decode().splitlines()[-1])
    except (ValueError, IndexError):
        pass
    return [row.release, f"{FAILED} as a whole"]
