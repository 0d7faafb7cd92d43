"""A terminal of a chosen size with a command on it, and what a person sees there."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import TYPE_CHECKING

import pyte

from support.timing import PATIENCE, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_ON_TERMINAL = (sys.executable, str(Path(__file__).parents[1] / "supervision" / "on_terminal.py"))


class Terminal:
    """Runs a command with a terminal as its standard streams. `raw` is all that it wrote there."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self.raw = b""
        self._screen = pyte.HistoryScreen(columns, rows, history=10_000)
        self._stream = pyte.ByteStream(self._screen)
        self._keyboard, self._end = pty.openpty()
        self.process: subprocess.Popen[bytes] | None = None
        self.resize(columns, rows)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)
        os.close(self._keyboard)

    def start(
        self, command: Sequence[str], env: Mapping[str, str], cwd: Path | None = None
    ) -> None:
        self.process = subprocess.Popen(
            [*_ON_TERMINAL, *command],
            stdin=self._end,
            stdout=self._end,
            stderr=self._end,
            env={"TERM": "xterm-256color", "PYTHONUTF8": "1", **env},
            cwd=cwd,
        )
        os.close(self._end)

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._keyboard, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._screen.resize(rows, columns)

    def press(self, keys: bytes) -> None:
        os.write(self._keyboard, keys)

    def read(self) -> bool:
        """Take what has come; False once the command has closed the terminal."""
        while select.select([self._keyboard], [], [], 0.02)[0]:
            try:
                data = os.read(self._keyboard, 65_536)
            except OSError:  # Linux, once no process has the other end open
                return False
            self.raw += data
            self._stream.feed(data)
        return True

    def wait_for(self, shown: Callable[[str], bool], what: str) -> str:
        """Wait until the screen is as `shown` tells; returns the screen."""

        def look() -> str | None:
            self.read()
            text = self.text()
            return text if shown(text) else None

        try:
            return wait_until(look, what) or ""
        except AssertionError as error:
            raise AssertionError(f"{error}; the screen:\n{self.text()}") from error

    def end(self) -> int:
        """Wait for the end of the command; its exit code."""
        wait_until(lambda: not self.read(), "the end of the command")
        assert self.process is not None
        return self.process.wait(PATIENCE)

    def text(self) -> str:
        """What the screen shows, without the blanks at the ends of lines."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    def scrolled(self) -> str:
        """All lines from the first on, those above the screen too."""
        columns = range(self._screen.columns)
        above = ["".join(line[x].data for x in columns) for line in self._screen.history.top]
        return "\n".join([*(line.rstrip() for line in above), self.text()]).rstrip()

    @property
    def has_cursor(self) -> bool:
        return not self._screen.cursor.hidden

    @property
    def cursor(self) -> tuple[int, int]:
        """Row and column."""
        return self._screen.cursor.y, self._screen.cursor.x
