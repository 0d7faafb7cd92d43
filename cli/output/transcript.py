"""A stream as the console shows it: its events, and the text between them."""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Final

from ...parser.events import Event, Text
from ...records.plural import counted

if TYPE_CHECKING:
    from .console import Console

_MOST_HELD: Final = 1 << 20
"""Bytes of text that are held until the first event."""
_MOST_UNDECIDED: Final = 100
"""Texts that are held between the first event and the second."""


class Transcript:
    """Passes events and text on to the console, without the prefixes of a log collector.

    Compose, `kubectl logs --timestamps` and Airflow 2 put a prefix before every line of dbt's log.
    A `print` without a newline puts text before one event, and such text is shown. The first two
    events of an invocation tell which it is: text before both is a prefix. The same prefix, with
    any digits, is then taken off the text between events too.

    With `awaits_event`, text is held until the first event. A stream without an event is not a log
    of dbt, so its text is never shown.
    """

    def __init__(self, console: Console, *, awaits_event: bool = False) -> None:
        self._console = console
        self._foreword = _Foreword() if awaits_event else None
        self._lead: Text | None = None
        self._undecided: list[Event | Text] = []
        self._is_prefixed: bool | None = None
        self._prefix: re.Pattern[bytes] | None = None

    def text(self, text: Text) -> None:
        """Show text that came between events, or before one on the same line."""
        if text.is_lead:
            self._lead = text
        elif self._foreword is not None:
            self._foreword.add(text.line)
        elif self._undecided and len(self._undecided) < _MOST_UNDECIDED:
            self._undecided.append(text)
        else:
            self._decide(None)
            self._console.text(self._without_prefix(text.line))

    def refused(self, event: Event) -> None:
        """Show an event of another run as text: somebody printed it."""
        lead, self._lead = self._lead, None
        line = (lead.line if lead is not None else b"") + event.line
        if self._foreword is not None:
            self._foreword.add(line)
        else:
            self._console.text(self._without_prefix(line))

    def event(self, event: Event) -> None:
        """Show an event, and the text before it unless that is a prefix."""
        lead, self._lead = self._lead, None
        if self._foreword is not None:
            self._foreword.show(self._console)
            self._foreword = None
        if self._undecided:
            self._decide(lead)
        elif self._is_prefixed is None or event.name == "MainReportVersion":
            if lead is not None:
                self._undecided = [lead, event]
                return
            self._is_prefixed = False
        if lead is not None and not self._is_prefixed:
            self._console.text(lead.line)
        self._console.event(event)

    def end(self) -> None:
        """Show the texts that are still held: the stream has ended."""
        self._decide(None)
        if self._lead is not None:
            self._console.text(self._lead.line)
            self._lead = None

    def _decide(self, second: Text | None) -> None:
        """Show the items that were held until the second event. `second` is the text before it."""
        undecided, self._undecided = self._undecided, []
        if not undecided:
            return
        self._is_prefixed = second is not None
        first = undecided[0]
        self._prefix = (
            _common_pattern(first.line, second.line) if second and isinstance(first, Text) else None
        )
        for item in undecided:
            if isinstance(item, Event):
                self._console.event(item)
            elif not (self._is_prefixed and item.is_lead):
                self._console.text(self._without_prefix(item.line))

    def _without_prefix(self, line: bytes) -> bytes:
        """The line without the collector's prefix."""
        found = self._prefix.match(line) if self._prefix is not None else None
        return line[found.end() :] if found is not None else line


def _common_pattern(one: bytes, other: bytes) -> re.Pattern[bytes] | None:
    """A pattern for two prefixes that differ only in numbers, such as a time; None for others."""
    pattern = re.compile(rb"\d+".join(map(re.escape, re.split(rb"\d+", one))))
    return pattern if pattern.fullmatch(other) is not None else None


class _Foreword:
    """The newest megabyte of the text before the first event."""

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._left_out = 0

    def add(self, line: bytes) -> None:
        self._lines.append(line)
        self._size += len(line)
        while self._size > _MOST_HELD:
            oldest = len(self._lines.popleft())
            self._size -= oldest
            self._left_out += oldest

    def show(self, console: Console) -> None:
        if self._left_out:
            left_out = counted(self._left_out, "byte")
            console.say(f"relay: not shown here: {left_out} of text before dbt's log")
        for line in self._lines:
            console.text(line)
