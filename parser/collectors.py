"""Lines of dbt inside the JSON or text that a log collector wraps around them.

Docker writes `{"log": "…\\n", "stream": "stdout", "time": …}`, Airflow 3 `{"event": "…", "level":
…}`, others use `message`, `textPayload`, `jsonPayload` and so on. Any field may hold the line, as
text or as an object, and a collector may wrap the output of another. Docker splits a line at 16 KiB
into several objects. CRI (containerd, CRI-O) splits it into lines with the tag `P`, the last with
`F`.
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

MOST_WRAPPERS: Final = 3
"""Collectors around one line, each with its own JSON."""

_LEVELS: Final = 8
"""Levels of objects and lists that the search for an event enters."""

_ESCAPED: Final = re.compile(rb'\{\\+"(?:data|info|_cb_thread|record_type)\\+": ?(?:\\+"|[{])')
_OBJECT: Final = re.compile(rb'\{"(?:data|info)": ?\{|\{"record_type": ?"')
_START: Final = re.compile(r'\{\\*"(?:data|info|_cb_thread|record_type)\\*": ?(?:\\*"|\{)')
_BEGINS: Final = re.compile(r'\{"(?:data|info)": ?\{|\{"record_type": ?"')
_LITERAL: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
"""A JSON string. An unfinished one matches up to the end, so that no other is found inside it."""
_CRI: Final = re.compile(
    rb"(\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d) (?:stdout|stderr)) ([PF])(?::\S*)? "
)
_TEXT_FIELD: Final = {"jsonPayload": "textPayload"}
"""The field for plain text of a collector that has another field for JSON."""
_STREAMS: Final = ("stdout", "stderr")
_DOCKER_PIECE: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """The parts of a wrapped line: texts and objects that may be events.

    `field` is the field of the first part. With `may_be_print` the line may also be JSON that a
    program printed. Then it is a collector's line only if a part is an event.
    """

    parts: list[str | JsonObject]
    may_be_print: bool = False
    field: str | None = None


class Unwrapper:
    """Takes the wrapping of collectors off lines.

    Remembers the field that held an event: text in that field is dbt's too, and is shown in place
    of the JSON. Joins the pieces of split lines.
    """

    def __init__(self) -> None:
        self._field: str | None = None
        self._split = _SplitLines()

    def unwrap(self, value: Any, line: bytes) -> Unwrapped | None:
        """The parts of a line; None for a line without wrapping. `value` is its decoded JSON."""
        entry = _docker_entry(value)
        if entry is not None:
            return Unwrapped([*self._split.add(*entry)])
        if is_object(value) or is_array(value):
            return self._of_json(value, line)
        cut = _cri_line(line)
        if cut is not None and (not cut[2] or self._split):
            return Unwrapped([*self._split.add(*cut)])
        texts: list[str | JsonObject] = [*_literals(line)] if _ESCAPED.search(line) else []
        return Unwrapped(texts, may_be_print=True) if texts else None

    def confirm(self, unwrapped: Unwrapped) -> None:
        """Remember the field of a line that held an event."""
        self._field = _TEXT_FIELD.get(unwrapped.field or "", unwrapped.field) or self._field

    def unfinished(self) -> list[str]:
        """The beginnings of split lines whose last piece never came."""
        return self._split.take_all()

    def _of_json(self, value: Any, line: bytes) -> Unwrapped | None:
        fields = value if is_object(value) else {}
        if _ESCAPED.search(line) or _OBJECT.search(line, 1):
            parts = list(_candidates(value))
            if parts:
                found_in = next((k for k, v in fields.items() if v is parts[0]), None)
                return Unwrapped(parts, may_be_print=True, field=found_in)
        text = fields.get(self._field) if self._field is not None else None
        return Unwrapped([text]) if isinstance(text, str) else None


def _candidates(value: Any) -> Iterator[str | JsonObject]:
    """The texts and objects in a JSON value that may be events, in their order."""
    waiting: list[tuple[Any, int]] = [(value, 0)]
    while waiting:
        found, level = waiting.pop()
        if isinstance(found, str):
            if _START.search(found):
                yield found
        elif is_object(found):
            info = found.get("info")
            is_event = (is_object(info) and "name" in info) or "record_type" in found
            if level and is_event:
                yield found
            elif level < _LEVELS:
                waiting += [(inner, level + 1) for inner in reversed(found.values())]
        elif is_array(found) and level < _LEVELS:
            waiting += [(inner, level + 1) for inner in reversed(found)]


def _literals(line: bytes) -> Iterator[str]:
    """The JSON strings with an escaped event in a line that is not JSON as a whole.

    Such a line has a prefix, or is one line of an object that was printed over several lines.
    """
    for match in _LITERAL.finditer(line):
        if _ESCAPED.search(match[0]):
            try:
                yield json.loads(match[0])
            except ValueError:
                continue


def _docker_entry(value: Any) -> tuple[str, str, bool] | None:
    """The stream and the text of an entry of Docker's `json-file`, and whether it ends a line."""
    if not is_object(value):
        return None
    text, stream = value.get("log"), value.get("stream")
    if not isinstance(text, str) or stream not in _STREAMS or len(value) < 3:
        return None
    tag = value.get("logtag")
    if tag in ("P", "F"):  # Fluent Bit's field for the tag of CRI
        return str(stream), text, tag == "F"
    # Some forwarders cut the newline off. A piece of a split line has 16 KiB of bytes.
    ends = text.endswith("}}") and len(text.encode("utf-8", "replace")) < _DOCKER_PIECE
    return str(stream), text, ends or text.endswith("\n")


class _SplitLines:
    """Joins the pieces of dbt's lines that a collector split, for each stream by itself.

    Waits only for the rest of a line that begins an event. Other text passes at once.
    """

    def __init__(self) -> None:
        self._open: dict[str, list[str]] = {}
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._open)

    def add(self, stream: str, text: str, is_last: bool) -> list[str]:
        """The lines that are complete now. A new event ends an unfinished line before it."""
        whole: list[str] = []
        pieces = self._open.get(stream)
        if pieces is not None and _BEGINS.match(text):
            whole += self._take(stream)
            pieces = None
        if pieces is None and (is_last or not _START.search(text)):
            return [*whole, text]
        self._open.setdefault(stream, []).append(text)
        self._size += len(text)
        if is_last or self._size > MAX_LINE:
            whole += self._take(stream)
        return whole

    def take_all(self) -> list[str]:
        """The unfinished lines of all streams."""
        return [text for stream in [*self._open] for text in self._take(stream)]

    def _take(self, stream: str) -> list[str]:
        pieces = self._open.pop(stream, [])
        self._size -= sum(map(len, pieces))
        return ["".join(pieces)] if pieces else []


def _cri_line(line: bytes) -> tuple[str, str, bool] | None:
    """The stream and the text of a line in CRI's form, and whether it ends a line of dbt."""
    head = _CRI.match(line)
    if head is None:
        return None
    text = line[head.end() :].decode("utf-8", "replace")
    stream = head[1].rpartition(b" ")[2].decode()
    return stream, text.rstrip("\r\n") if head[2] == b"P" else text, head[2] == b"F"
