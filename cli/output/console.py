"""The console while dbt runs: line for line what dbt itself prints in text mode."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, BinaryIO, Final

from ...parser.secrets import Secrets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...parser.events import Event
    from .screen import Screen

_RANKS: Final = {
    "trace": 0, "debug": 0, "test": 0, "info": 1, "warn": 2, "error": 3, "none": 4, "off": 4
}  # fmt: skip
"""dbt's levels; `trace` and `off` are dbt v2's words."""

_ANSWERS: Final = {"ShowNode": "preview", "CompiledNode": "compiled"}
"""Events that answer a command, and the field that holds the bare answer."""

_MARKS: Final = {"debug": "<7>", "info": "<6>", "warn": "<4>", "error": "<3>"}
"""Levels of syslog before a line, as sd-daemon(3) has them, for an operator that logs the lines."""

_RESET: Final = "\x1b[0m"
_RULE: Final = "=" * 30


class Console:
    """Prints events and text to one stream of bytes. Lines are held until `flush`.

    `level`, `quiet` and `style` (`text` or `debug`) are dbt's `--log-level`, `--quiet` and
    `--log-format`. `secrets` are masked in the child's text; events hold none.

    `marks_levels` is for an operator that logs the lines: each has its level in front, and no time.

    After a failed write nothing more is printed, and nothing is raised: Airflow closes the pipe of
    a timed-out task while the relay still has records to deliver.
    """

    def __init__(
        self,
        out: BinaryIO | Screen,
        *,
        level: str = "info",
        quiet: bool = False,
        style: str = "text",
        colours: bool = False,
        secrets: Secrets | None = None,
        marks_levels: bool = False,
    ) -> None:
        self._out = out
        self.marks_levels = marks_levels
        self._least = _RANKS["error"] if quiet else _RANKS.get(level, 1)
        self._quiet = quiet
        self._style = style
        self._secrets = secrets or Secrets()
        self._reset = _RESET if colours else ""
        self._held: list[bytes] = []
        self.is_closed = False

    @property
    def shows_debug(self) -> bool:
        return self._least == _RANKS["debug"]

    @property
    def shows_info(self) -> bool:
        return self._least <= _RANKS["info"]

    def event(self, event: Event) -> None:
        """Print an event, if the user asked for events of its kind."""
        line = self._line(event)
        if line is not None:
            self._print(line, event.level)

    def text(self, line: bytes) -> None:
        """Print a line of the child that is not an event, unchanged."""
        self._held.append(self._secrets.mask_line(line))

    def raw(self, data: bytes) -> None:
        """Print bytes of the child in which secrets are masked already."""
        self._held.append(data)

    def marked(self, line: str, level: str) -> None:
        """Print a line with the mark of its level, if levels are marked."""
        self._print(line, level)

    def say(self, line: str = "") -> None:
        """Print one line of the relay."""
        self._print(line)

    def say_errors(self, title: str, lines: Iterable[str]) -> None:
        """Print lines below a title. For an operator they are a group that Airflow's log folds."""
        if not self.marks_levels:
            self._print(f"\n{title}")
            for line in lines:
                self._print(line)
            return
        self._print(f"::group::{title}", "error")
        for line in lines:
            self._print(line, "error")
        self._print("::endgroup::", "error")

    def flush(self) -> None:
        held, self._held = self._held, []
        if self.is_closed:
            return
        try:
            self._out.write(b"".join(held))
            self._out.flush()
        except (OSError, ValueError):
            self._give_up()

    def _line(self, event: Event) -> str | None:
        name = event.name
        if name == "ListCmdOut":  # dbt 1.7 and 1.8 print() it at every level
            return event.msg
        # dbt 1.9 and later print ShowNode and CompiledNode bare, and give them a field `quiet`.
        bare = name == "PrintEvent" or (name in _ANSWERS and "quiet" in event.data)
        rank = _RANKS["error"] if bare else _RANKS.get(event.level, 1)
        if rank < self._least:
            return None
        if self._style == "debug":
            return self._debug_line(event)
        if not bare:
            # An operator's log has a time of its own before each line.
            time = "" if self.marks_levels else f"{self._reset}{event.ts[11:19]}  "
            return f"{time}{event.msg}"
        if self._quiet and name in _ANSWERS and event.data.get("output_format") != "json":
            return str(event.data.get(_ANSWERS[name]))
        return event.msg

    def _debug_line(self, event: Event) -> str:
        whole, _, fraction = event.ts[11:].rstrip("Z").partition(".")
        moment = f"{whole}.{fraction:0<6}"
        head = ""
        if event.name == "MainReportVersion":
            head = f"\n\n{_RULE} {moment} | {event.invocation_id} {_RULE}\n"
        thread = f" [{event.thread[:10]:<10}]:" if event.thread else ""
        return f"{head}{self._reset}{moment} [{event.level:<5}]{thread} {event.msg}"

    def _print(self, line: str, level: str = "info") -> None:
        if self.marks_levels:
            mark = _MARKS.get(level, _MARKS["info"])
            line = "\n".join(f"{mark}{part}" for part in line.split("\n"))
        self._held.append(f"{line}\n".encode("utf-8", "replace"))

    def _give_up(self) -> None:
        self.is_closed = True
        # Python would write the rest of the buffer when it exits, and report a second failure.
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._out.fileno())
            os.close(null)
