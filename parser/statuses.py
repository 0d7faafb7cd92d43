"""dbt's status words, found in the text that an event shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..records.values import text

if TYPE_CHECKING:
    from .events import Event

_STATUS_WORDS: Final = frozenset(
    {
        "success",
        "error",
        "skipped",
        "partial success",
        "no-op",
        "reused",
        "pass",
        "fail",
        "warn",
        "runtime error",
        "cancelled",
        "unknown",
    }
)
"""`cancelled` and `unknown` are dbt v2's."""

_DISPLAYED: Final = {"ok": "success", "error stale": "error", "skip": "skipped", "": "no-op"}
_PARTIAL: Final = "partial success"


def displayed_status(event: str, shown: str, node_status: str) -> str:
    """The status word of a result line, whose own `status` is a text for people.

    For a model that succeeded that text is the adapter's message (`OK`, `SELECT 10`).
    """
    if event == "SkippingDetails":
        return "skipped"
    if node_status in _STATUS_WORDS:
        return node_status
    word = shown.lower()
    if word.startswith(_PARTIAL):
        return _PARTIAL
    return _DISPLAYED.get(word, word)


def status_or_message(event: Event) -> str:
    """The status word in the end line of a hook or a batch; `success` for a database's message.

    dbt 1.7 and 1.8 show the database's message for a hook that succeeded (`OK` on DuckDB, `INSERT 0
    1` on PostgreSQL). Every dbt 1.x shows it for a batch that succeeded.
    """
    word = (text(event.data.get("status")) or "success").lower()
    word = _PARTIAL if word.startswith(_PARTIAL) else _DISPLAYED.get(word, word)
    return word if word in _STATUS_WORDS else "success"
