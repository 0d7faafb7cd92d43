"""Writes the history as Parquet, with pyarrow or with duckdb: a file for each month."""

from __future__ import annotations

import itertools
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol

from ...records.plural import counted
from ...records.values import encode
from ...sinks.ledger import reading
from .columns import COLUMNS, exported_rows, json_row
from .whole_file import ExportError, whole_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ...sinks.ledger.file import Ledger

_AT_A_TIME: Final = 20_000
"""Rows in memory, and in a row group of the file."""
_DUCKDB_TYPES: Final = {
    "text": "VARCHAR",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "time": "TIMESTAMPTZ",
}


class Engine(Protocol):
    """A library that writes Parquet."""

    def write(self, path: Path, rows: Iterator[list[Any]]) -> None:
        """Write the rows of `exported_rows`, a few at a time."""
        ...

    def count(self, path: Path) -> int:
        """How many rows a file has."""
        ...


def engine() -> Engine:
    """The library that is there. Raises ExportError if none is."""
    for name, kind in (("pyarrow.parquet", PyArrow), ("duckdb", DuckDb)):
        try:
            import_module(name)
        except ImportError:
            continue
        return kind()
    raise ExportError(
        "Parquet needs pyarrow or duckdb, and neither is installed beside dbt-relay: pip install "
        "'dbt-relay[parquet]'. --jsonl needs nothing more"
    )


def write_parquet(ledger: Ledger, folder: Path, writer: Engine) -> Iterator[str]:
    """Write the file of each month in which runs began; a line for each.

    A file that has more rows stays: the ledger has forgotten a part of its month. Raises
    ExportError.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"{folder} is no folder to write to: {error.strerror}") from error
    for month, rows in reading.months(ledger):
        path = folder / f"dbt-relay-{month}.parquet"
        there = _count(writer, path)
        if there > rows:
            yield f"{path}: kept, it has {counted(there, 'row')} and the ledger {rows:,}"
            continue
        with whole_file(path) as draft:
            writer.write(draft, exported_rows(ledger, month))
        yield f"{path}: {counted(rows, 'row')}"


def _count(writer: Engine, path: Path) -> int:
    if not path.exists():
        return 0
    try:
        return writer.count(path)
    except Exception as error:  # each library has its own errors
        raise ExportError(f"{path} is there, and is no Parquet file: move it away") from error


class PyArrow:
    """See Engine."""

    def write(self, path: Path, rows: Iterator[list[Any]]) -> None:
        arrow: Any = import_module("pyarrow")
        parquet: Any = import_module("pyarrow.parquet")
        types = {
            "text": arrow.string(),
            "integer": arrow.int64(),
            "number": arrow.float64(),
            "time": arrow.timestamp("ms", tz="UTC"),
        }
        schema = arrow.schema([(column.name, types[column.kind]) for column in COLUMNS])
        with parquet.ParquetWriter(path, schema, compression="zstd") as file:
            while batch := [*itertools.islice(rows, _AT_A_TIME)]:
                arrays = [
                    arrow.array(values, type=field.type)
                    for values, field in zip(zip(*batch, strict=True), schema, strict=True)
                ]
                file.write_table(arrow.Table.from_arrays(arrays, schema=schema))

    def count(self, path: Path) -> int:
        parquet: Any = import_module("pyarrow.parquet")
        return parquet.read_metadata(path).num_rows


class DuckDb:
    """See Engine. It reads JSON lines from a file, so that no more than that is in memory."""

    def write(self, path: Path, rows: Iterator[list[Any]]) -> None:
        between = path.with_name(f"{path.name}.jsonl")
        types = ", ".join(f"{c.name}: '{_DUCKDB_TYPES[c.kind]}'" for c in COLUMNS)
        try:
            with between.open("wb") as file:
                file.writelines(encode(json_row(row)) + b"\n" for row in rows)
            self._do(
                f"copy (select * from read_json({_quoted(between)}, columns = {{{types}}},"  # noqa: S608
                f" format = 'newline_delimited')) to {_quoted(path)} (format parquet,"
                " compression zstd)"
            )
        finally:
            between.unlink(missing_ok=True)

    def count(self, path: Path) -> int:
        query = f"select count(*) from read_parquet({_quoted(path)})"  # noqa: S608
        return self._do(query)[0][0]

    def _do(self, query: str) -> list[tuple[Any, ...]]:
        duckdb: Any = import_module("duckdb")
        try:
            with duckdb.connect() as db:
                return db.execute(query).fetchall()
        except duckdb.Error as error:
            raise OSError(str(error)) from error


def _quoted(path: Path) -> str:
    doubled = str(path).replace("'", "''")
    return f"'{doubled}'"
