"""What a line of dbt's standard output is: events of its structured log, or somebody's text.

The envelope is `{"data": {…}, "info": {…}}` in dbt 1.7 to 1.12 and in the v2 `json` format; the
dictionaries of the in-process runner have the same in camelCase, with default values left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any, Final

from ..records.values import JsonObject, is_array, is_object, number, shallow, text
from .collected import DEEPEST, Carried, Unpacker
from .decoding import decode, decode_at
from .lines import LineSplitter
from .secrets import Secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])[A-Z]")
_USER_KEYS: Final = frozenset({"meta", "adapter_response"})


def _form(blank: bytes) -> tuple[bytes, bytes, Callable[..., re.Match[bytes] | None]]:
    rest = rb'(\w+)",_"pid":_(\d+,)_"thread":_"[^"\\{}]*",_"ts":_"[^"\\{}]*"}}'
    return (
        b'{"data":' + blank,
        b'",_"name":_"'.replace(b"_", blank),
        re.compile(rest.replace(b"_", blank)).fullmatch,
    )


_FORMS: Final = (_form(b" "), _form(b""))
"""What is before an event of dbt 1.7 to 1.12, and of v2; before its name; and all behind that."""


def skip_unread(block: bytes, start: int, pid: bytes = b"") -> int:
    """Where the first line that is worth decoding starts, in whole lines from `start` on.

    dbt sorts the keys of its JSON: an event is `{"data": …, "name": "SQLQuery", "pid": …,
    "thread": …, "ts": …}}`. The unescaped quotes around the name cannot stand inside a JSON
    string, and a name with all of that behind it can only be the event's own. Whatever looks
    different gets decoded: a line in which a second event begins, and, where `pid` has dbt's own,
    what another process printed.
    """
    for begin, name_is, matches in _FORMS:  # noqa: B007
        if block.startswith(begin, start):
            break
    else:
        return start
    find, rfind, name_size = block.find, block.rfind, len(name_is)
    while block.startswith(begin, start):
        end = find(b"\n", start)
        name = rfind(name_is, start, end)
        if not 0 <= name <= end - name_size:
            return start
        rest = matches(block, name + name_size, end)
        if (
            rest is None
            or rest[1] not in UNREAD
            or (pid and rest[2] != pid)
            or find(begin, start + 1, end) >= 0
        ):
            return start
        start = end + 1
    return start


def event_of(value: Any, line: bytes = b"") -> Event | None:
    """The event that a decoded JSON value is, or None if it is something else."""
    if not is_object(value):
        return None
    info = value.get("info")
    if not is_object(info):
        return None
    if "invocationId" in info:
        value = _snake_case(shallow(value))
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
    `malformed` counts the events that arrived in pieces, `faults` the lines that this module
    failed to read: a line of either kind takes no other with it. `fault` is the first of these
    failures.
    """

    def __init__(self, secrets: Secrets | None = None, *, unread_too: bool = False) -> None:
        self._splitter = LineSplitter()
        self._secrets = secrets or Secrets()
        self._unread_too = unread_too
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
                start = skip_unread(block, start, self._pid)
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
        is_traced = self._secrets.traced(line)
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


def _snake_case(value: Any) -> Any:
    if is_array(value):
        return [_snake_case(v) for v in value]
    if not is_object(value):
        return value
    renamed = ((_CAMEL.sub(lambda m: "_" + m[0].lower(), k), v) for k, v in value.items())
    return {k: v if k in _USER_KEYS else _snake_case(v) for k, v in renamed}
