"""Lines of dbt as collectors of logs keep them: as text, or as an object, in JSON of their own.

Docker's `{"log": "…\\n", "stream": "stdout", "time": …}`, Airflow 3's `{"event": "…", "level": …}`,
`message`, `textPayload`, `jsonPayload` and so on: which field it is does not matter. A collector
of a collector nests them. Docker cuts a line at 16 KiB into several objects, CRI (containerd,
CRI-O) into lines tagged `P`, and `F` for the last.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ..records.values import JsonObject, is_array, is_object
from .lines import MAX_LINE

if TYPE_CHECKING:
    from collections.abc import Iterator

DEEPEST: Final = 3
"""Collectors around one line, each with JSON of its own."""

_LEVELS: Final = 8
"""Levels of objects and lists that are searched in one JSON value."""

_ESCAPED: Final = re.compile(rb'\{\\+"(?:data|info|_cb_thread)\\+": ?(?:\\+"|[{])')
_OBJECT: Final = re.compile(rb'\{"(?:data|info)": ?\{')
_START: Final = re.compile(r'\{\\*"(?:data|info|_cb_thread)\\*": ?(?:\\*"|\{)')
_BEGINS: Final = re.compile(r'\{"(?:data|info)": ?\{')
_LITERAL: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
"""An unfinished one matches to the end, so that no other is looked for in it."""
_CRI: Final = re.compile(
    rb"(\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d) (?:stdout|stderr)) ([PF])(?::\S*)? "
)
_TEXT_BESIDE: Final = {"jsonPayload": "textPayload"}
"""Where a collector that keeps JSON as an object has a line that is none."""
_STREAMS: Final = ("stdout", "stderr")
_DOCKER_PIECE: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Carried:
    """What a line carries. Where it `may_be_print`, it is a collector's only if an event is in it:
    else somebody printed that JSON."""

    parts: list[str | JsonObject]
    may_be_print: bool = False
    field: str | None = None
    """Where the first part was found."""


class Unpacker:
    """What the lines of a collector carry. Remembers the field that carried an event, whose text
    is then shown in place of the JSON, and the pieces of lines that go on."""

    def __init__(self) -> None:
        self._field: str | None = None
        self._pieces = _Pieces()

    def unpack(self, value: Any, line: bytes) -> Carried | None:
        """What is carried by a line, and the JSON value that it is, if any. None if nothing is."""
        entry = _docker_entry(value)
        if entry is not None:
            return Carried([*self._pieces.add(*entry)])
        if is_object(value) or is_array(value):
            return self._of_json(value, line)
        cut = _cri_line(line)
        if cut is not None and (not cut[2] or self._pieces):
            return Carried([*self._pieces.add(*cut)])
        texts: list[str | JsonObject] = [*_literals(line)] if _ESCAPED.search(line) else []
        return Carried(texts, may_be_print=True) if texts else None

    def believe(self, carried: Carried) -> None:
        """There was an event: text in the same field is dbt's, too."""
        self._field = _TEXT_BESIDE.get(carried.field or "", carried.field) or self._field

    def rest(self) -> list[str]:
        """The beginnings of lines whose rest never came."""
        return self._pieces.rest()

    def _of_json(self, value: Any, line: bytes) -> Carried | None:
        fields = value if is_object(value) else {}
        if _ESCAPED.search(line) or _OBJECT.search(line, 1):
            parts = list(_candidates(value))
            if parts:
                found_in = next((k for k, v in fields.items() if v is parts[0]), None)
                return Carried(parts, may_be_print=True, field=found_in)
        text = fields.get(self._field) if self._field is not None else None
        return Carried([text]) if isinstance(text, str) else None


def _candidates(value: Any) -> Iterator[str | JsonObject]:
    """The texts and the objects in a JSON value that may be events, in their order."""
    waiting: list[tuple[Any, int]] = [(value, 0)]
    while waiting:
        found, level = waiting.pop()
        if isinstance(found, str):
            if _START.search(found):
                yield found
        elif is_object(found):
            info = found.get("info")
            if level and is_object(info) and "name" in info:
                yield found
            elif level < _LEVELS:
                waiting += [(inner, level + 1) for inner in reversed(found.values())]
        elif is_array(found) and level < _LEVELS:
            waiting += [(inner, level + 1) for inner in reversed(found)]


def _literals(line: bytes) -> Iterator[str]:
    """The JSON strings that hold an escaped event in a line that is no JSON as a whole: behind a
    prefix, say, or one line of an object that was printed over several."""
    for match in _LITERAL.finditer(line):
        if _ESCAPED.search(match[0]):
            try:
                yield json.loads(match[0])
            except ValueError:
                continue


def _docker_entry(value: Any) -> tuple[str, str, bool] | None:
    """Stream, text and whether that ends its line, of an entry of Docker's `json-file`."""
    if not is_object(value):
        return None
    text, stream = value.get("log"), value.get("stream")
    if not isinstance(text, str) or stream not in _STREAMS or len(value) < 3:
        return None
    tag = value.get("logtag")
    if tag in ("P", "F"):  # Fluent Bit's word for the tag of CRI
        return str(stream), text, tag == "F"
    # Some who pass it on have cut the newline off; a piece has 16 KiB of bytes.
    ends = text.endswith("}}") and len(text.encode("utf-8", "replace")) < _DOCKER_PIECE
    return str(stream), text, ends or text.endswith("\n")


class _Pieces:
    """Puts together the lines of dbt that a collector cut, one stream beside the other.

    Only a line that begins an event is waited for: other text stands for itself.
    """

    def __init__(self) -> None:
        self._open: dict[str, list[str]] = {}
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._open)

    def add(self, stream: str, text: str, is_last: bool) -> list[str]:
        """What is whole now. A piece that begins an event ends the one before it, torn or not."""
        whole: list[str] = []
        pieces = self._open.get(stream)
        if pieces is not None and _BEGINS.match(text):
            whole += self.take(stream)
            pieces = None
        if pieces is None and (is_last or not _START.search(text)):
            return [*whole, text]
        self._open.setdefault(stream, []).append(text)
        self._size += len(text)
        if is_last or self._size > MAX_LINE:
            whole += self.take(stream)
        return whole

    def take(self, stream: str) -> list[str]:
        """What there is of a line, whose rest never came or has come."""
        pieces = self._open.pop(stream, [])
        self._size -= sum(map(len, pieces))
        return ["".join(pieces)] if pieces else []

    def rest(self) -> list[str]:
        """What there is of all lines."""
        return [text for stream in [*self._open] for text in self.take(stream)]


def _cri_line(line: bytes) -> tuple[str, str, bool] | None:
    """Stream, text and whether it is the end of its line, of a line as CRI's log files have it."""
    head = _CRI.match(line)
    if head is None:
        return None
    text = line[head.end() :].decode("utf-8", "replace")
    stream = head[1].rpartition(b" ")[2].decode()
    return stream, text.rstrip("\r\n") if head[2] == b"P" else text, head[2] == b"F"
