"""The result of a node of dbt v2: its NodeFinished, completed to what `run_results.json` says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..records.instant import moment
from ..records.values import is_object, text

if TYPE_CHECKING:
    from ..records.values import JsonObject

_MESSAGES: Final = {
    "success": "Succeeded",
    "pass": "Pass",
    "warn": "Warn",
    "fail": "Error",
    "no-op": "Skipped",
    "skipped": "Skipped due to upstream failure",
}
"""The messages in the file, by status. For an error it has the text of the log."""
_QUOTES: Final = {"bigquery": "`", "databricks": "`", "spark": "`", "snowflake": ""}
"""What dbt puts around the parts of a relation's name; `"` for every other adapter."""
_WITHOUT_RELATION: Final = ("test", "unit_test", "ephemeral")


def message_of(status: str) -> str | None:
    """The message in `run_results.json`; None for an error."""
    return _MESSAGES.get(status)


def relation_of(node: JsonObject, adapter: str | None) -> str | None:
    """The name of the node's relation as dbt 1.x logs it: `"shop"."main"."orders"`.

    dbt v2 logs the name without quotes. So it stays where the log does not name the adapter.
    """
    relation = node.get("node_relation")
    has_none = node.get("materialized") in _WITHOUT_RELATION and not node.get("stores_failures")
    if not is_object(relation) or has_none:
        return None
    parts = [text(relation.get(part)) for part in ("database", "schema", "alias")]
    quote = _QUOTES.get(adapter, '"') if adapter is not None else ""
    return ".".join(f"{quote}{part}{quote}" for part in parts if part) or None


def seconds_between(start: str | None, end: str | None) -> float | None:
    """The seconds between two timestamps in UTC, rounded to microseconds; None without both."""
    try:
        began, ended = (moment(time or "") for time in (start, end))
    except ValueError:
        return None
    return max(0.0, round((ended - began).total_seconds(), 6))
