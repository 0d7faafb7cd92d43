"""dbt's status words, and the word behind what an event shows."""

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
    """The status behind a result line, whose own `status` is made for the eye.

    For a model that succeeded it is the adapter's message (`OK`, `SELECT 10`).
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
    """The status in the end line of a hook or a batch, which may be the adapter's message instead.

    dbt 1.7 and 1.8 write there what the database said of a hook that succeeded (`OK` on DuckDB,
    `INSERT 0 1` on PostgreSQL), and every dbt 1.x does so of a batch.
    """
    word = (text(event.data.get("status")) or "success").lower()
    word = _PARTIAL if word.startswith(_PARTIAL) else _DISPLAYED.get(word, word)
    return word if word in _STATUS_WORDS else "success"
