"""Scripts in processes of their own, which go on when the test lets them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from support.timing import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterable


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Run a script in another process that can import the tests' modules."""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
    )


def line_of(process: subprocess.Popen[str]) -> str:
    """The next line that it prints."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def let_go(*processes: subprocess.Popen[str]) -> None:
    """Send each of them the line that it waits for."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


def race(processes: Iterable[subprocess.Popen[str]]) -> list[str]:
    """Let all go at once, when each has printed a line; what each printed after it."""
    processes = [*processes]
    for process in processes:
        assert line_of(process)
    let_go(*processes)
    return outputs(processes)


def outputs(processes: Iterable[subprocess.Popen[str]]) -> list[str]:
    """What each process printed. Each has to exit with 0."""
    processes = [*processes]
    try:
        said = [process.communicate(timeout=PATIENCE)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert [process.returncode for process in processes] == [0] * len(processes), said
    return said
