"""Reads dbt's standard output: the events of its structured log, and text between them."""

from __future__ import annotations

import re
from json import JSONDecodeError
from typing import TYPE_CHECKING, Final

from ..records.values import is_object, number
from .collectors import MOST_WRAPPERS, Unwrapped, Unwrapper
from .decoding import decode, decode_at
from .events import Event, Text, event_of
from .lines import LineSplitter
from .secrets import Secrets
from .unread import end_of_unread

if TYPE_CHECKING:
    from collections.abc import Iterator

_BEGINS: Final = "MainReportVersion"
_NOTHING: Final = ()
_START_ANYWHERE: Final = re.compile(rb'\{"(?:data|info|_cb_thread|record_type)": ?[{"]')
_EVENT_STARTS: Final = re.compile(r'\{"(?:data|info|_cb_thread|record_type)": ?[{"]')
_TORN: Final = re.compile(r'\{"(?:data|record_type)": ?')
_MOST_EFFORT: Final = 20
"""The limit of the search for events in a line with other text, in lengths of the line: the decoder
reads part of the line for each torn event."""
_LOOKS_LIKE_EVENT: Final = re.compile(
    rb'\s*\{["*]{1,6}(?:data|info)?["*]{1,6}: ?[{*]|\s*\{"record_type": ?"'
)
_INVISIBLE: Final = re.compile(r"(?:\x1b\[[\d;]*m|[\r\n])*")


class EventReader:
    """Reads a stream of bytes as events and text. Nothing in the stream makes it raise.

    Passes over unread events without decoding them (see `end_of_unread`), unless `include_unread`.
    `malformed` counts the events that arrived in pieces. `faults` counts the lines that this module
    failed to read, `fault` is the first exception. Such a line takes no other line with it.
    """

    def __init__(self, secrets: Secrets | None = None, *, include_unread: bool = False) -> None:
        self._splitter = LineSplitter()
        self._secrets = secrets or Secrets()
        self._include_unread = include_unread
        self._pid = b""
        self._unwrapper = Unwrapper()
        self.malformed = 0
        self.faults = 0
        self.fault: Exception | None = None

    def feed(self, chunk: bytes) -> Iterator[Event | Text]:
        """The events and texts of the lines that this chunk completes."""
        return self._read(self._splitter.feed(chunk))

    def end(self) -> Iterator[Event | Text]:
        """The events and texts of the last line, if the stream ended in it."""
        yield from self._read(self._splitter.end())
        for torn in self._unwrapper.unfinished():
            yield from self._read_line(torn.encode("utf-8", "replace"))

    def _read(self, block: bytes) -> Iterator[Event | Text]:
        start, size = 0, len(block)
        while start < size:
            if not self._include_unread:
                start = end_of_unread(block, start, self._pid)
                if start == size:
                    return
            end = block.find(b"\n", start) + 1 or size
            line = block[start:end]
            start = end
            try:
                event = None if self._secrets else event_of(decode(line), line)
                items = [*self._read_line(line)] if event is None else _NOTHING
            except Exception as error:  # a fault of this module
                self.faults += 1
                self.fault = self.fault or error
                event, items = None, (Text(line),)
            if event is not None:
                if event.name == _BEGINS:
                    self._pid = _pid_of(event)
                yield event
            for item in items:
                if isinstance(item, Event) and item.name == _BEGINS:
                    self._pid = _pid_of(item)
                yield item

    def _read_line(self, line: bytes, depth: int = 0) -> Iterator[Event | Text]:
        for candidate in self._secrets.restored(line):
            event = event_of(decode(candidate), line)
            if event is not None:
                yield self._masked(event)
                return
        value = decode(line)
        event = event_of(value, line)
        if event is not None:
            yield self._masked(event) if self._secrets.occur_in(line) else event
        elif depth < MOST_WRAPPERS and (found := self._unwrapper.unwrap(value, line)) is not None:
            yield from self._events_in(found, line, depth + 1)
        elif value is None and _START_ANYWHERE.search(line):
            yield from self._glued(line)
        elif value is None and _LOOKS_LIKE_EVENT.match(line):
            self.malformed += 1
        else:
            yield Text(line)

    def _events_in(self, unwrapped: Unwrapped, line: bytes, depth: int) -> Iterator[Event | Text]:
        """The events and texts in a wrapped line. A print that only looks like one is text."""
        malformed = self.malformed
        items: list[Event | Text] = []
        is_torn = False
        for part in unwrapped.parts:
            if not isinstance(part, str):
                event = event_of(part)
                if event is not None:
                    items.append(self._masked(event) if self._secrets.occur_in(line) else event)
                continue
            for row in part.rstrip("\r\n").split("\n"):
                inner = row.encode("utf-8", "replace") + b"\n"
                is_torn = is_torn or decode(inner) is None
                items += self._read_line(inner, depth)
        if not unwrapped.may_be_print:
            yield from items
        elif any(isinstance(item, Event) for item in items):
            self._unwrapper.confirm(unwrapped)
            yield from _without_repeats(items, line)
        elif self.malformed == malformed or not is_torn:
            self.malformed = malformed
            yield Text(line)

    def _glued(self, line: bytes) -> Iterator[Event | Text]:
        """The events of a line with other text: a program printed that text without a newline."""
        text = line.decode("utf-8", "replace")
        has_secret = self._secrets.occur_in(line)
        done, effort = 0, 0
        for match in _EVENT_STARTS.finditer(text):
            if match.start() < done:
                continue
            if effort > _MOST_EFFORT * len(text):
                break
            try:
                value, end = decode_at(text, match.start())
            except JSONDecodeError as error:
                effort += error.pos - match.start()
                continue
            event = event_of(value, text[match.start() : end].encode("utf-8", "replace") + b"\n")
            if event is None:
                if not _TORN.search(text, done, match.start()):  # else a piece of a torn event
                    yield Text(text[done:end].encode())
                    done = end
                continue
            yield from self._between(text[done : match.start()], is_lead=not done)
            yield self._masked(event) if has_secret else event
            done = end
        yield from self._between(text[done:])

    def _between(self, text: str, *, is_lead: bool = False) -> Iterator[Text]:
        """The text before or after an event on its line, without the pieces of torn events."""
        torn = _TORN.search(text)
        before = text
        if torn is not None:
            self.malformed += 1
            before = text[: torn.start()]
        if not _INVISIBLE.fullmatch(before):
            yield Text(before.encode(), is_lead and torn is None)

    def _masked(self, event: Event) -> Event:
        event.info = self._secrets.mask(event.info)
        event.data = self._secrets.mask(event.data)
        node = event.data.get("node_info")
        event.node = node if is_object(node) else None
        return event


def _pid_of(event: Event) -> bytes:
    """The process of this event, in the form that `end_of_unread` compares."""
    pid = number(event.info.get("pid"))
    return b"%d," % pid if pid is not None else b""


def _without_repeats(items: list[Event | Text], line: bytes) -> Iterator[Event | Text]:
    """The items without a second copy of an event, which a line may hold as text and as an object.

    Only the first event keeps the line, which is shown if the run refuses the event.
    """
    before: Event | None = None
    for item in items:
        if isinstance(item, Event):
            if before is not None and (item.info, item.data) == (before.info, before.data):
                continue
            item.line = line if before is None else b""
            before = item
        yield item
