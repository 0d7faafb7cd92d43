"""What a line of dbt's standard output is: events of its structured log, or somebody's text.

The envelope is `{"data": {…}, "info": {…}}` in dbt 1.7 to 1.12 and in the v2 `json` format; the
dictionaries of the in-process runner have the same in camelCase, with default values left out.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from .collected import DEEPEST, Carried, Unpacker
from .lines import LineSplitter
from .secrets import Secrets
from .values import JsonObject, is_array, is_object, text

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(slots=True)
class Event:
    """One event: its envelope, and `data.node_info` as `node` where it is about a node.

    `line` is what it was read from.
    """

    name: str
    info: JsonObject
    data: JsonObject
    node: JsonObject | None
    line: bytes = b""

    @property
    def level(self) -> str:
        """`debug`, `info`, `warn` or `error`."""
        return text(self.info.get("level")) or ""

    @property
    def msg(self) -> str:
        return text(self.info.get("msg")) or ""

    @property
    def ts(self) -> str:
        """RFC 3339, UTC, with a fraction of 0, 3, 6 or 9 digits."""
        return text(self.info.get("ts")) or ""

    @property
    def thread(self) -> str:
        return text(self.info.get("thread")) or ""

    @property
    def invocation_id(self) -> str:
        return text(self.info.get("invocation_id")) or ""


@dataclass(frozen=True, slots=True)
class Text:
    """Output that is no event: a `print` of a Python model, a usage error. Bytes as they came.

    `is_lead`: it stands before an event on the same line, which comes next.
    """

    line: bytes
    is_lead: bool = False


UNREAD: Final = frozenset(
    name.encode()
    for name in (
        "AdapterEventDebug",
        "CatchableExceptionOnRun",
        "ConnectionClosed",
        "ConnectionClosedInCleanup",
        "ConnectionReused",
        "ConnectionUsed",
        "EndRunResult",
        "JinjaLogDebug",
        "MarkSkippedChildren",
        "NewConnection",
        "NewConnectionOpening",
        "NodeCompiling",
        "NodeExecuting",
        "Rollback",
        "RollbackFailed",
        "SQLCommit",
        "SQLQuery",
        "SQLQueryStatus",
        "TimingInfoCollected",
        "WritingInjectedSQLForNode",
    )
)
"""Debug events that say nothing of a node's end: 19 of 20 bytes of a debug log."""

_START: Final = b'{"data": '
_NAME: Final = b'", "name": "'
_NAME_SIZE: Final = len(_NAME)
_AFTER_NAME: Final = b'", "pid": '
_NEXT: Final = b'}}\n{"data": '
_LONGEST_TAIL: Final = 200
_START_ANYWHERE: Final = re.compile(rb'\{"(?:data|info|_cb_thread)": ?[{"]')
_LOOKS_LIKE_EVENT: Final = re.compile(rb'\s*\{["*]{1,6}(?:data|info)?["*]{1,6}: ?[{*]')
_UNSEEN: Final = re.compile(r"(?:\x1b\[[\d;]*m|[\r\n])*")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])[A-Z]")
_USER_KEYS: Final = frozenset({"meta", "adapter_response"})


def skip_unread(block: bytes, start: int) -> int:
    """Where the first line that is worth decoding starts, in whole lines from `start` on.

    dbt sorts the keys of its JSON: an event is `{"data": …, "name": "SQLQuery", "pid": …,
    "thread": …, "ts": …}}`. The unescaped quotes around the name cannot stand inside a JSON
    string, and a name that close to the end of its line can only be the event's own. Whatever
    looks different, or is not followed by another event, gets decoded.
    """
    if not block.startswith(_START, start):
        return start
    find = block.find
    while True:
        name = find(_NAME, start) + _NAME_SIZE
        after = find(_AFTER_NAME, name)
        if block[name:after] not in UNREAD:
            return start
        end = find(_NEXT, after)
        if not after < end < after + _LONGEST_TAIL:
            return start
        start = end + 3


def event_of(value: Any, line: bytes = b"") -> Event | None:
    """The event that a decoded JSON value is, or None if it is something else."""
    if not is_object(value):
        return None
    info = value.get("info")
    if not is_object(info):
        return None
    if "invocationId" in info:
        value = _snake_case(value)
        info = value["info"]
    name = info.get("name")
    if not isinstance(name, str):
        return None
    data = value.get("data")
    if not is_object(data):
        data = {}
    node = data.get("node_info")
    return Event(name, info, data, node if is_object(node) else None, line)


class EventReader:
    """Reads a stream of bytes as events and text. Nothing in the stream makes it raise.

    Debug events that `skip_unread` recognises are dropped undecoded, unless `unread_too`.
    `malformed` counts the events that arrived in pieces.
    """

    def __init__(self, secrets: Secrets | None = None, *, unread_too: bool = False) -> None:
        self._splitter = LineSplitter()
        self._secrets = secrets or Secrets()
        self._unread_too = unread_too
        self._unpacker = Unpacker()
        self.malformed = 0

    def feed(self, chunk: bytes) -> Iterator[Event | Text]:
        """What the lines completed by this chunk say."""
        return self._read(self._splitter.feed(chunk))

    def end(self) -> Iterator[Event | Text]:
        """What the last line says if the stream ended inside it."""
        yield from self._read(self._splitter.end())
        for torn in self._unpacker.rest():
            yield from self._items(torn.encode("utf-8", "replace"))

    def _read(self, block: bytes) -> Iterator[Event | Text]:
        start, size = 0, len(block)
        while start < size:
            if not self._unread_too:
                start = skip_unread(block, start)
            end = block.find(b"\n", start) + 1 or size
            line = block[start:end]
            start = end
            event = event_of(_decode(line), line) if not self._secrets else None
            if event is not None:
                yield event
            else:
                yield from self._items(line)

    def _items(self, line: bytes, depth: int = 0) -> Iterator[Event | Text]:
        for candidate in self._secrets.restored(line):
            event = event_of(_decode(candidate), line)
            if event is not None:
                yield self._masked(event)
                return
        value = _decode(line)
        event = event_of(value, line)
        if event is not None:
            yield self._masked(event) if self._secrets.traced(line) else event
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
                    items.append(self._masked(event) if self._secrets.traced(line) else event)
                continue
            for row in part.rstrip("\r\n").split("\n"):
                inner = row.encode("utf-8", "replace") + b"\n"
                is_torn = is_torn or _decode(inner) is None
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
        decoder = json.JSONDecoder()
        done = 0
        for match in re.finditer(r'\{"(?:data|info|_cb_thread)": ?[{"]', text):
            if match.start() < done:
                continue
            try:
                value, end = decoder.raw_decode(text, match.start())
            except (ValueError, RecursionError):
                continue
            event = event_of(value, text[match.start() : end].encode("utf-8", "replace") + b"\n")
            if event is None:
                continue
            yield from self._remainder(text[done : match.start()], is_lead=not done)
            yield self._masked(event) if self._secrets.traced(line) else event
            done = end
        yield from self._remainder(text[done:])

    def _remainder(self, text: str, *, is_lead: bool = False) -> Iterator[Text]:
        before, torn, _ = text.partition('{"data": ')
        if torn:
            self.malformed += 1
        if not _UNSEEN.fullmatch(before):
            yield Text(before.encode(), is_lead and not torn)

    def _masked(self, event: Event) -> Event:
        event.info = self._secrets.mask(event.info)
        event.data = self._secrets.mask(event.data)
        node = event.data.get("node_info")
        event.node = node if is_object(node) else None
        return event


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


def _decode(line: bytes) -> Any:
    """The JSON value of a line, or None. What orjson refuses (NaN, lone surrogates, bad UTF-8)
    the standard library may still read."""
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        pass
    if b"{" not in line:
        return None
    try:
        return json.loads(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


def _snake_case(value: Any) -> Any:
    if is_array(value):
        return [_snake_case(v) for v in value]
    if not is_object(value):
        return value
    renamed = ((_CAMEL.sub(lambda m: "_" + m[0].lower(), k), v) for k, v in value.items())
    return {k: v if k in _USER_KEYS else _snake_case(v) for k, v in renamed}
