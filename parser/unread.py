"""Unread events: debug events that no record depends on, found without decoding them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Match = Callable[..., re.Match[bytes] | None]

_UNREAD: Final = (
    "AdapterEventDebug",
    "CatchableExceptionOnRun",
    "ConnectionClosed",
    "ConnectionClosedInCleanup",
    "ConnectionReused",
    "ConnectionUsed",
    "EndRunResult",
    "JinjaDebugInfo",
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
"""Names of debug events that say nothing about the end of a node: 19 of 20 bytes of a debug log."""


_V2_READ: Final = ("NodeExecuting",)
"""In dbt v2 the beginning of a node's run phase."""


def _form(blank: bytes, names: Iterable[str]) -> tuple[bytes, bytes, bytes, Match]:
    tail = rb'(?:(Generic)|%b)",_"pid":_(\d+,)_"thread":_"[^"\\{}]*",_"ts":_"[^"\\{}]*"}}'
    pattern = tail % "|".join(names).encode()
    begin, level, name = (
        mark.replace(b"_", blank) for mark in (b'{"data":_', b'"level":_"debug"', b'",_"name":_"')
    )
    return begin, level, name, re.compile(pattern.replace(b"_", blank)).fullmatch


_FORMS: Final = (
    _form(b" ", _UNREAD),
    _form(b"", [name for name in _UNREAD if name not in _V2_READ]),
)
"""The JSON of dbt 1.7 to 1.12, and of v2: the beginning of an event, its level if that is debug,
the text before its name, and the rest of the line for an unread event."""


def end_of_unread(block: bytes, start: int, pid: bytes = b"") -> int:
    """Where the unread events that begin at `start` end: at the first line that needs decoding.

    A `Generic` event is unread if its level is debug: dbt v2 also logs errors under that name.

    dbt sorts the keys of its JSON: an event is `{"data": …, "name": "SQLQuery", "pid": …,
    "thread": …, "ts": …}}`. A JSON string cannot contain the unescaped quotes around the name, and
    only the event's own name has all these fields behind it. Any other line needs decoding, also a
    line in which a second event begins. With `pid` (`b"17,"`) so does an event of another process.
    """
    for begin, is_debug, name_is, tail in _FORMS:  # noqa: B007
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
        found = tail(block, name + name_size, end)
        if found is None or (pid and found[2] != pid):
            return start
        if found[1] and not block.startswith(is_debug, rfind(b'"level":', start, name)):
            return start
        if find(begin, start + 1, name) >= 0:
            return start
        start = end + 1
    return start
