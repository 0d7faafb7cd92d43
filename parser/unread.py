"""Debug events that no record depends on, recognised without decoding them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

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
