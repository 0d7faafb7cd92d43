"""Which processes of this machine carry a text in their environment, or are of some session.

Every child inherits the text; Airflow's workers write their titles over it, and keep their session.
`python census.py MARKER`, with a session a line at its standard input, kills all of them once that
is closed: when whoever started it is gone, in whatever way.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

_PROC = Path("/proc")


def processes_with(marker: str, sessions: Collection[int] = ()) -> dict[int, str]:
    """The command lines by pid of the live processes whose environment holds `marker`, or that are
    of one of the `sessions`.

    Session leaders and orphans are found too, unlike by walking parents. Linux only.
    """
    found: dict[int, str] = {}
    for folder in _PROC.iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            # Of the fields after the name, which may hold blanks: the state, and the session.
            state, _, _, session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            is_one = (
                int(session) in sessions or marker.encode() in (folder / "environ").read_bytes()
            )
            if is_one and state != "Z":
                words = (folder / "cmdline").read_bytes().split(b"\0")
                found[int(folder.name)] = b" ".join(words).decode(errors="replace").strip()
        except OSError:  # it ended while we looked, or belongs to somebody else
            continue
    return found


def processes_left(marker: str, within: float, sessions: Collection[int] = ()) -> dict[int, str]:
    """What there still is after at most `within` seconds; empty as soon as all are gone."""
    deadline = time.monotonic() + within
    while (found := processes_with(marker, sessions)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def kill(pids: dict[int, str]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    told = {int(line) for line in sys.stdin}
    for _ in range(20):  # a task may begin meanwhile
        kill(processes_left(sys.argv[1], 0.0, told))
        time.sleep(0.1)
