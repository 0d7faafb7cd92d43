"""What a person is shown of a stream: its events, and the text between them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from ...parser.events import Event, Text

if TYPE_CHECKING:
    from .console import Console

_MOST_HELD: Final = 1 << 20
_MOST_UNDECIDED: Final = 100


class Transcript:
    """Passes events and text on to the console, without the prefixes of a collector of logs.

    Compose, `kubectl logs --timestamps` and Airflow 2 put a prefix before every line of dbt's log.
    A `print` without a newline stands before a single event, and is shown. So the first two events
    of an invocation tell which it is: what stands before both is a prefix.

    With `awaits_event`, text is held back until the first event comes, and never shown if none
    does: the stream is no log of dbt then.
    """

    def __init__(self, console: Console, *, awaits_event: bool = False) -> None:
        self._console = console
        self._foreword = _Foreword() if awaits_event else None
        self._lead: Text | None = None
        self._undecided: list[Event | Text] = []
        self._is_prefixed: bool | None = None

    def text(self, text: Text) -> None:
        if text.is_lead:
            self._lead = text
        elif self._foreword is not None:
            self._foreword.add(text.line)
        elif self._undecided and len(self._undecided) < _MOST_UNDECIDED:
            self._undecided.append(text)
        else:
            self._decide(is_prefixed=False)
            self._console.text(text.line)

    def refused(self, event: Event) -> None:
        """An event that is not of this run is somebody's print."""
        lead, self._lead = self._lead, None
        line = (lead.line if lead is not None else b"") + event.line
        if self._foreword is not None:
            self._foreword.add(line)
        else:
            self._console.text(line)

    def event(self, event: Event) -> None:
        lead, self._lead = self._lead, None
        if self._foreword is not None:
            self._foreword.show(self._console)
            self._foreword = None
        if self._undecided:
            self._decide(is_prefixed=lead is not None)
        elif self._is_prefixed is None or event.name == "MainReportVersion":
            if lead is not None:
                self._undecided = [lead, event]
                return
            self._is_prefixed = False
        if lead is not None and not self._is_prefixed:
            self._console.text(lead.line)
        self._console.event(event)

    def end(self) -> None:
        """The stream has ended: show what was not decided."""
        self._decide(is_prefixed=False)
        if self._lead is not None:
            self._console.text(self._lead.line)
            self._lead = None

    def _decide(self, *, is_prefixed: bool) -> None:
        undecided, self._undecided = self._undecided, []
        if undecided:
            self._is_prefixed = is_prefixed
        for item in undecided:
            if isinstance(item, Event):
                self._console.event(item)
            elif not (is_prefixed and item.is_lead):
                self._console.text(item.line)


class _Foreword:
    """The newest text before the first event, a megabyte of it."""

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
            console.say(
                f"relay: {self._left_out:,} bytes of text before dbt's log are not shown here"
            )
        for line in self._lines:
            console.text(line)
