"""What dbt v2 prints by itself, passed on to the console."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from .masking import MaskedStream

if TYPE_CHECKING:
    from ...parser.secrets import Secrets
    from .console import Console

_LEVELS: Final = {
    "failed": "error",
    "stale": "error",
    "[error]": "error",
    "warned": "warn",
    "[warning]": "warn",
}
"""The levels of dbt v2's lines, by their first words."""
_COLOUR: Final = re.compile(rb"\x1b\[[\d;]*m")


class DbtOutput:
    """Passes dbt's standard output on as it comes, with secrets masked.

    For an operator, which logs each line at its level, whole lines are passed on.
    """

    def __init__(self, console: Console, secrets: Secrets) -> None:
        self._console = console
        self._masked = MaskedStream(secrets, self._pass_on)
        self._line = b""

    def write(self, chunk: bytes) -> None:
        self._masked.write(chunk)
        self._console.flush()

    def end(self) -> None:
        """dbt prints nothing more."""
        self._masked.end()
        if self._line:
            self._pass_on(b"\n")
        self._console.flush()

    def _pass_on(self, data: bytes) -> None:
        if not self._console.marks_levels:
            self._console.raw(data)
            return
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            self._console.marked(line.decode("utf-8", "replace"), level_of(line))


def level_of(line: bytes) -> str:
    """The level at which a line that dbt v2 prints belongs into a log."""
    words = _COLOUR.sub(b"", line).split(maxsplit=1)
    first = words[0].decode("utf-8", "replace").rstrip(":").lower() if words else ""
    return _LEVELS.get(first, "info")
