"""Why a file holds no event of dbt's log: what the file is, and what to give instead."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .saved_log import SavedLog

HOW_TO_LOG: Final = (
    "let dbt log with --log-format json, or with --log-format-file json for logs/dbt.log"
)
_PACKED: Final = (
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "zstd -dc"),
    (b"\x04\x22\x4d\x18", "compressed by lz4", "lz4 -dc"),
    (b"\xfd7zXZ", "compressed by xz, which this Python cannot read", "xz -dc"),
    (b"BZh", "compressed by bzip2, which this Python cannot read", "bzip2 -dc"),
    (b"\x1f\x9d", "compressed by compress", "zcat"),
    (b"PK\x03\x04", "a zip archive", "unzip -p"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "7z x -so"),
)
_ARTIFACT: Final = re.compile(rb'"https?://schemas\.getdbt\.com/dbt/([a-z-]+)/')
_OURS: Final = re.compile(rb'"schema": ?"dbt-relay/(?:node|run)@')
_TEXT_LOG: Final = re.compile(
    rb"Running with dbt[=-]|={20,} \d\d:\d\d:\d\d\.\d+ \| [0-9a-f-]{36} ={20,}"
    rb"|\d\d:\d\d:\d\d(?:\.\d+)? \[(?:debug|info|warn|error) *\]"
    rb"|(?m:^(?:\x1b\[\d*m)*\d\d:\d\d:\d\d(?:\.\d+)?  \S)"
    rb"|(?m:^(?:\x1b\[\d*m)*dbt-fusion \d)|=== Execution Summary ==="  # dbt v2
)
_BINARY: Final = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_EVENTS: Final = (b'"info', b'"record_type')
"""A part of each event and of each record of dbt v2's telemetry, escaped or not."""


def reason_at_start(log: SavedLog) -> str | None:
    """Why the log holds no event, if its beginning shows that; None if events may follow.

    A text log of dbt may go on as JSON: after `--log-format-file json` was set, or after a
    `dbt deps`. So a file is searched to its end, and the rest of a stream is waited for.
    """
    head = log.head
    if any(head.startswith(magic) for magic, _, _ in _PACKED) or head.startswith(b"SQLite format"):
        return reason(log)
    if any(part in head for part in _EVENTS):
        return None
    if head.lstrip().startswith(b"{") and (_ARTIFACT.search(head) or _OURS.search(head)):
        return reason(log)
    if _TEXT_LOG.search(head) and not log.is_stream and not any(map(log.holds, _EVENTS)):
        return reason(log)
    return None


def reason(log: SavedLog) -> str:
    """What a log without an event is, and what to do. Call it when all of the log was read."""
    is_file = not log.is_stream
    head = log.head
    artifact = _ARTIFACT.search(head)
    for magic, what, command in _PACKED:
        if head.startswith(magic):
            file = f" {log.name}" if is_file else ""
            return f"it is {what}: `{command}{file} | dbt-relay replay -` reads it"
    if log.trouble is not None and not head:
        return f"{log.trouble}"
    if not head.strip():
        return f"it is empty: {HOW_TO_LOG}"
    if head.startswith(b"SQLite format"):
        return "it is a database: `dbt-relay show` reads the journal of a state folder"
    if artifact is not None:
        name = artifact[1].decode().replace("-", "_")
        return (
            f"it is dbt's {name}.json, not its log. Give the log of that run, and this file's "
            f"folder as --target-path; for a log, {HOW_TO_LOG}"
        )
    if _OURS.search(head):
        return "it holds records of dbt-relay, which were published from a log before"
    if _TEXT_LOG.search(head):
        return (
            "it is dbt's log as text, which does not hold enough. For the next run: `dbt "
            "--log-format-file json build` writes JSON to logs/dbt.log, `dbt --log-format json "
            "build` prints it, and `dbt-relay run -- dbt build` needs neither"
        )
    if len(_BINARY.findall(head)) > len(head) // 50:
        return f"it is not text. For a log, {HOW_TO_LOG}"
    if head.lstrip().startswith(b"<"):
        return f"it is a web page or XML. For a log, {HOW_TO_LOG}"
    return HOW_TO_LOG
