"""Reads dbt's standard output: events of its structured log, and somebody's text."""

from __future__ import annotations

import re
from json import JSONDecodeError
from typing import TYPE_CHECKING, Final

from ..records.values import is_object, number
from .collectors import DEEPEST, Carried, Unpacker
from .decoding import decode, decode_at
from .events import Event, Text, event_of
from .lines import LineSplitter
from .secrets import Secrets
from .unread import end_of_unread

if TYPE_CHECKING:
    from collections.abc import Iterator

_BEGINS: Final = "MainReportVersion"
_NOTHING: Final = ()
_START_ANYWHERE: Final = re.compile(rb'\{"(?:data|info|_cb_thread)": ?[{"]')
_EVENT_STARTS: Final = re.compile(r'\{"(?:data|info|_cb_thread)": ?[{"]')
_TORN: Final = re.compile(r'\{"data": ?')
_MOST_EFFORT: Final = 20
"""How often the text of a line is read in vain to find the events in it: what is torn is read once
for each piece."""
_LOOKS_LIKE_EVENT: Final = re.compile(rb'\s*\{["*]{1,6}(?:data|info)?["*]{1,6}: ?[{*]')
_UNSEEN: Final = re.compile(r"(?:\x1b\[[\d;]*m|[\r\n])*")


class EventReader:
    """Reads a stream of bytes as events and text. Nothing in the stream makes it raise.

    Debug events that `end_of_unread` recognises are dropped undecoded, unless `include_unread`.
    `malformed` counts the events that arrived in pieces, `faults` the lines that this module
    failed to read: a line of either kind takes no other with it. `fault` is the first of these
    failures.
    """

    def __init__(self, secrets: Secrets | None = None, *, include_unread: bool = False) -> None:
        self._splitter = LineSplitter()
        self._secrets = secrets or Secrets()
        self._unread_too = include_unread
        self._pid = b""
        self._unpacker = Unpacker()
        self.malformed = 0
        self.faults = 0
        self.fault: Exception | None = None

    def feed(self, chunk: bytes) -> Iterator[Event | Text]:
        """What the lines completed by this chunk say."""
        return self._read(self._splitter.feed(chunk))

    def end(self) -> Iterator[Event | Text]:
        """What the last line says if the stream ended inside it."""
        yield from self._read(self._splitter.end())
        for torn in self._unpacker.rest():
            yield from self._items(torn.encode("utf-8", "replace"))

    def _read(self, block: bytes) -> Iterator[Event | Text]:
        start, size, skips = 0, len(block), not self._unread_too
        while start < size:
            if skips:
                start = end_of_unread(block, start, self._pid)
                if start == size:
                    return
            end = block.find(b"\n", start) + 1 or size
            line = block[start:end]
            start = end
            try:
                event = None if self._secrets else event_of(decode(line), line)
                items = [*self._items(line)] if event is None else _NOTHING
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

    def _items(self, line: bytes, depth: int = 0) -> Iterator[Event | Text]:
        for candidate in self._secrets.restored(line):
            event = event_of(decode(candidate), line)
            if event is not None:
                yield self._masked(event)
                return
        value = decode(line)
        event = event_of(value, line)
        if event is not None:
            yield self._masked(event) if self._secrets.occur_in(line) else event
        elif depth < DEEPEST and (found := self._unpacker.unpack(value, line)) is not None:
            yield from self._carried(found, line, depth + 1)
        elif value is None and _START_ANYWHERE.search(line):
            yield from self._glued(line)
        elif value is None and _LOOKS_LIKE_EVENT.match(line):
            self.malformed += 1
        else:
            yield Text(line)

    def _carried(self, carried: Carried, line: bytes, depth: int) -> Iterator[Event | Text]:
        """The events that a collector's line carries; a print that only looks like one is text."""
        malformed = self.malformed
        items: list[Event | Text] = []
        is_torn = False
        for part in carried.parts:
            if not isinstance(part, str):
                event = event_of(part)
                if event is not None:
                    items.append(self._masked(event) if self._secrets.occur_in(line) else event)
                continue
            for row in part.rstrip("\r\n").split("\n"):
                inner = row.encode("utf-8", "replace") + b"\n"
                is_torn = is_torn or decode(inner) is None
                items += self._items(inner, depth)
        if not carried.may_be_print:
            yield from items
        elif any(isinstance(item, Event) for item in items):
            self._unpacker.believe(carried)
            yield from _once(items, line)
        elif self.malformed == malformed or not is_torn:
            self.malformed = malformed
            yield Text(line)

    def _glued(self, line: bytes) -> Iterator[Event | Text]:
        """The events of a line that also holds other text: what printed it wrote no newline."""
        text = line.decode("utf-8", "replace")
        is_traced = self._secrets.occur_in(line)
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
                if not _TORN.search(text, done, match.start()):  # else a piece of what is torn
                    yield Text(text[done:end].encode())
                    done = end
                continue
            yield from self._remainder(text[done : match.start()], is_lead=not done)
            yield self._masked(event) if is_traced else event
            done = end
        yield from self._remainder(text[done:])

    def _remainder(self, text: str, *, is_lead: bool = False) -> Iterator[Text]:
        torn = _TORN.search(text)
        before = text
        if torn is not None:
            self.malformed += 1
            before = text[: torn.start()]
        if not _UNSEEN.fullmatch(before):
            yield Text(before.encode(), is_lead and torn is None)

    def _masked(self, event: Event) -> Event:
        event.info = self._secrets.mask(event.info)
        event.data = self._secrets.mask(event.data)
        node = event.data.get("node_info")
        event.node = node if is_object(node) else None
        return event


def _pid_of(event: Event) -> bytes:
    """The process that began to report here, as its later events have it."""
    pid = number(event.info.get("pid"))
    return b"%d," % pid if pid is not None else b""


def _once(items: list[Event | Text], line: bytes) -> Iterator[Event | Text]:
    """What a line carries, and each event once, also where it is there as text and as an object.
    The first stands for the line, should it be refused."""
    before: Event | None = None
    for item in items:
        if isinstance(item, Event):
            if before is not None and (item.info, item.data) == (before.info, before.data):
                continue
            item.line = line if before is None else b""
            before = item
        yield item
