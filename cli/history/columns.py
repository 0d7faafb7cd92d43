"""The columns of the table that `export` writes: one row for each node and run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from ...records.instant import time_text
from ...records.outcomes import OUTCOMES
from ...sinks.ledger import reading
from ...sinks.ledger.rows import query_id_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...sinks.ledger.file import Ledger

Kind = Literal["text", "integer", "number", "time"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column, and the kind of its values; each may be absent."""

    name: str
    kind: Kind


COLUMNS: Final = (
    Column("run_token", "text"),
    Column("run", "integer"),
    Column("project", "text"),
    Column("command", "text"),
    Column("run_state", "text"),
    Column("exit_code", "integer"),
    Column("run_started_at", "time"),
    Column("run_finished_at", "time"),
    Column("dag_id", "text"),
    Column("run_id", "text"),
    Column("task_id", "text"),
    Column("map_index", "integer"),
    Column("attempt", "integer"),
    Column("invocation_id", "text"),
    Column("dbt_version", "text"),
    Column("adapter", "text"),
    Column("unique_id", "text"),
    Column("outcome", "text"),
    Column("status", "text"),
    Column("started_at", "time"),
    Column("execution_time", "number"),
    Column("failures", "integer"),
    Column("checksum", "text"),
    Column("rows_affected", "integer"),
    Column("bytes_processed", "integer"),
    Column("bytes_billed", "integer"),
    Column("slot_ms", "integer"),
    Column("query_id", "text"),
    Column("thread", "text"),
    Column("resource_type", "text"),
)
"""In the order of `exported_rows`."""
_NAMES: Final = [column.name for column in COLUMNS]
_OUTCOME: Final = _NAMES.index("outcome")
_QUERY_ID: Final = _NAMES.index("query_id")
_UNIQUE_ID: Final = _NAMES.index("unique_id")
_TIMES: Final = [place for place, column in enumerate(COLUMNS) if column.kind == "time"]


def exported_rows(ledger: Ledger, month: str | None = None) -> Iterator[list[Any]]:
    """The values of each row, for COLUMNS. Times are in milliseconds since 1970."""
    for values in reading.exported(ledger, month):
        row = [*values, values[_UNIQUE_ID].partition(".")[0]]
        row[_OUTCOME] = OUTCOMES[row[_OUTCOME]]
        row[_QUERY_ID] = query_id_text(row[_QUERY_ID])
        for place in _TIMES:
            if row[place] is not None:
                row[place] = round(row[place] * 1000)
        yield row


def json_row(row: list[Any]) -> dict[str, Any]:
    """The row as a JSON object, without what is absent. Times are RFC 3339 in UTC."""
    told = dict(zip(_NAMES, row, strict=True))
    for place in _TIMES:
        if row[place] is not None:
            told[_NAMES[place]] = time_text(row[place] / 1000)
    return {name: value for name, value in told.items() if value is not None}
