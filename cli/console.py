"""What a person reads while dbt runs: line for line what dbt itself prints in text mode."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from ..parser.events import Event

_LEVELS: Final = ("debug", "info", "warn", "error", "none")
_BARE: Final = frozenset({"PrintEvent", "ShowNode", "CompiledNode", "ListCmdOut"})
_RESET: Final = "\x1b[0m"


class Console:
    """Writes to one stream of bytes. A reader that went away is noticed once and then forgotten:
    Airflow closes the pipe of a timed-out task while the relay still has records to deliver.
    """

    def __init__(self, out: BinaryIO, *, level: str = "info", colours: bool = False) -> None:
        self._out = out
        self._least = _LEVELS.index(level) if level in _LEVELS else 1
        self._reset = _RESET if colours else ""
        self.is_closed = False

    @property
    def shows_debug(self) -> bool:
        return self._least == 0

    def event(self, event: Event) -> None:
        """Print an event if it is of a level that the user asked for."""
        bare = event.name in _BARE
        level = _LEVELS.index(event.level) if event.level in _LEVELS else 1
        if level < self._least and not (bare and self._least < 4):
            return
        text = event.msg if bare else f"{self._reset}{event.ts[11:19]}  {event.msg}"
        self._write(f"{text}\n".encode("utf-8", "replace"))

    def text(self, line: bytes) -> None:
        """Print what came from the child and is no event, as it came."""
        self._write(line)

    def say(self, line: str = "") -> None:
        """Print a line of the relay's own."""
        self._write(f"{line}\n".encode("utf-8", "replace"))

    def flush(self) -> None:
        if self.is_closed:
            return
        try:
            self._out.flush()
        except (OSError, ValueError):
            self.is_closed = True

    def _write(self, data: bytes) -> None:
        if self.is_closed:
            return
        try:
            self._out.write(data)
        except (OSError, ValueError):
            self.is_closed = True


def without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
