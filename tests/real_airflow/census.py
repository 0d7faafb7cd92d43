"""Which processes of this machine carry a text in their environment; every child inherits it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

_PROC = Path("/proc")


def processes_with(marker: str) -> dict[int, str]:
    """The command lines of the live processes whose environment holds `marker`, by pid.

    Session leaders and orphans are found too, unlike by walking parents. Linux only.
    """
    found: dict[int, str] = {}
    for folder in _PROC.iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            if marker.encode() in (folder / "environ").read_bytes():
                words = (folder / "cmdline").read_bytes().split(b"\0")
                found[int(folder.name)] = b" ".join(words).decode(errors="replace").strip()
        except OSError:  # it ended while we looked, or belongs to somebody else
            continue
    return found


def processes_left(marker: str, within: float) -> dict[int, str]:
    """What still carries `marker` after at most `within` seconds; empty as soon as all are gone."""
    deadline = time.monotonic() + within
    while (found := processes_with(marker)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def kill(pids: dict[int, str]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
