"""Runs the rows of the matrix, two at a time, each in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

from matrix.table import FAILED

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

    Ends all that runs if this process is told to stop.
    """
    lanes = _Lanes(rows)
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


class _Lanes:
    def __init__(self, rows: list[Row]) -> None:
        self.found: dict[Row, Cells] = {}
        self._left = [*rows]
        self._running: dict[Row, subprocess.Popen[bytes]] = {}
        self._changed = threading.Condition()

    def work(self) -> None:
        """Run one row after the other until none is left."""
        while (row := self._start_next()) is not None:
            began_at = time.monotonic()
            out, _ = self._running[row].communicate()
            code = self._running[row].returncode
            try:
                cells: Cells = json.loads(out.decode().splitlines()[-1]) if code == 0 else [FAILED]
            except (ValueError, IndexError):
                cells = [FAILED]
            if cells == [FAILED]:
                cells = [row.release, f"{FAILED} as a whole"]
            seconds = time.monotonic() - began_at
            print(f"{row.part} {row.release}: {cells} ({seconds:.0f} s)", file=sys.stderr)
            with self._changed:
                self.found[row] = cells
                del self._running[row]
                self._changed.notify_all()

    def stop(self) -> None:
        """Tell the processes of all rows to end, and wait for it. They end their servers."""
        with self._changed:
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
                        command, stdout=subprocess.PIPE, start_new_session=True
                    )
                    return row
                self._changed.wait()
            return None
