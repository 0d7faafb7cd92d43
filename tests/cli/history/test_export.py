"""`dbt-relay export`: the same rows in each form, with their types, and no half file."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.ledgers import put, timed

from dbt_relay.cli.history import parquet
from dbt_relay.cli.history.columns import COLUMNS, exported_rows
from dbt_relay.cli.history.whole_file import ExportError, whole_file
from dbt_relay.sinks import Journal
from dbt_relay.sinks.ledger.catching_up import catch_up, forget
from dbt_relay.sinks.ledger.file import open_ledger

if TYPE_CHECKING:
    from support.command import Typed

ENGINES = {"pyarrow": parquet.PyArrow, "duckdb": parquet.DuckDb}


def months(state: Path) -> None:
    """A run at the end of November, and one in December."""
    with Journal(state, pytest.fail) as journal:
        for run in (28, 29):
            put(journal, run, timed("model.shop.a", run), timed("model.shop.b", run))


def table_of(folder: Path, query: str) -> list[tuple[Any, ...]]:
    return duckdb.sql(query.format(table=f"'{folder}/*.parquet'")).fetchall()


def json_lines(typed: Typed, state: Path) -> list[dict[str, Any]]:
    done = typed("export", "--state-dir", state)
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_row_of_json(typed: Typed, state: Path) -> None:
    rows = json_lines(typed, state)
    assert len(rows) == 72
    row = next(r for r in rows if r["unique_id"] == "model.shop.orders" and r["run"] == 12)
    assert len(row.pop("run_token")) == 32
    assert row == {
        "run": 12,
        "project": "/srv/shop",
        "command": "dbt build",
        "run_state": "finished",
        "exit_code": 0,
        "run_started_at": "2026-11-13T03:00:00.000Z",
        "run_finished_at": "2026-11-13T03:01:00.000Z",
        "unique_id": "model.shop.orders",
        "outcome": "success",
        "status": "success",
        "started_at": "2026-11-13T03:00:15.000Z",
        "execution_time": 95.0,
        "checksum": "b" * 64,
        "rows_affected": 1011,
        "bytes_processed": 50_400_000,
        "resource_type": "model",
    }


@pytest.mark.parametrize("name", ENGINES)
def test_both_engines_write_what_both_readers_read(
    typed: Typed, state: Path, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "it's.parquet"
    with open_ledger(state) as ledger, Journal(state) as journal:
        catch_up(journal, ledger)
        ENGINES[name]().write(path, exported_rows(ledger))
    assert ENGINES[name]().count(path) == 72
    told = json_lines(typed, state)
    by_arrow = pq.read_table(path)
    assert by_arrow.schema.names == [column.name for column in COLUMNS]
    kinds = {
        "text": pa.types.is_string,
        "integer": pa.types.is_int64,
        "number": pa.types.is_float64,
        "time": lambda kind: pa.types.is_timestamp(kind) and kind.tz == "UTC",
    }
    for column in COLUMNS:
        assert kinds[column.kind](by_arrow.schema.field(column.name).type), column
    for found in (by_arrow.to_pylist(), duckdb_rows(path)):
        as_told = [{k: time_text(v) for k, v in row.items() if v is not None} for row in found]
        assert as_told == told
    half = path.with_suffix(".jsonl")
    assert not half.exists()


def duckdb_rows(path: Path) -> list[dict[str, Any]]:
    quoted = str(path).replace("'", "''")
    found = duckdb.execute(f"select * from '{quoted}'")
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def time_text(value: Any) -> Any:
    if not isinstance(value, datetime):
        return value
    text = value.astimezone(timezone.utc).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def test_each_month_has_a_file_that_is_the_same_the_next_time(typed: Typed, tmp_path: Path) -> None:
    months(tmp_path / "state")
    folder = tmp_path / "new" / "history"
    for _ in range(2):
        done = typed("export", "--parquet", folder, "--state-dir", tmp_path / "state")
        assert done.stdout.splitlines() == [
            f"{folder}/dbt-relay-2026-11.parquet: 2 rows",
            f"{folder}/dbt-relay-2026-12.parquet: 2 rows",
        ]
        assert sorted(p.name for p in folder.iterdir()) == [
            "dbt-relay-2026-11.parquet",
            "dbt-relay-2026-12.parquet",
        ]
        assert table_of(folder, "select count(*), count(distinct run) from {table}") == [(4, 2)]


def test_a_month_that_the_ledger_has_half_forgotten_keeps_its_file(
    typed: Typed, tmp_path: Path
) -> None:
    state, folder = tmp_path / "state", tmp_path / "history"
    months(state)
    with Journal(state) as journal:
        put(journal, 5, timed("model.shop.a", 5))
    typed("export", "--parquet", folder, "--state-dir", state)
    with Journal(state) as journal, open_ledger(state) as ledger:
        forget(ledger, datetime(2026, 11, 30, tzinfo=timezone.utc).timestamp(), 10)
        for past in (1, 2, 3):
            run = journal.adopt(past)
            assert run is not None
            run.delete()
            run.close()
    done = typed("export", "--parquet", folder, "--state-dir", state)
    assert done.stdout.splitlines()[0] == (
        f"{folder}/dbt-relay-2026-11.parquet: kept, it has 3 rows and the ledger 2"
    )
    assert table_of(folder, "select count(*) from {table}") == [(5,)]


def test_the_query_of_the_docs(typed: Typed, state: Path, tmp_path: Path) -> None:
    page = Path(__file__).parents[3] / "docs" / "how-to" / "history.md"
    (query,) = [block.partition("```")[0] for block in page.read_text().split("```sql\n")[1:]]
    typed("export", "--parquet", tmp_path / "history", "--state-dir", state)
    found = duckdb.sql(query.replace("history/", f"{tmp_path}/history/")).fetchall()
    assert [name for name, *_ in found][:2] == ["model.shop.orders", "model.shop.stg_customers"]


@pytest.mark.parametrize("form", ["--parquet", "--jsonl"])
def test_a_write_that_fails_leaves_what_was_there(
    typed: Typed, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    to = tmp_path / "history"
    target = to if form == "--parquet" else to / "all.jsonl"
    to.mkdir()
    assert typed("export", form, target, "--state-dir", state).returncode == 0
    before = {path.name: path.read_bytes() for path in to.iterdir()}

    with open_ledger(state) as ledger:
        some = [*exported_rows(ledger)][:5]

    def half(*_: object) -> Any:
        yield from some
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(parquet, "exported_rows", half)
    monkeypatch.setattr("dbt_relay.cli.export.exported_rows", half)
    done = typed("export", form, target, "--state-dir", state)
    assert done.returncode == 64
    assert "cannot be written: No space left on device" in done.stderr
    assert {path.name: path.read_bytes() for path in to.iterdir()} == before


def test_a_file_that_is_no_parquet_is_not_replaced(
    typed: Typed, state: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "dbt-relay-2026-11.parquet"
    mine.write_text("mine")
    done = typed("export", "--parquet", tmp_path, "--state-dir", state)
    assert done.returncode == 64
    assert f"{mine} is there, and is no Parquet file: move it away" in done.stderr
    assert mine.read_text() == "mine"


def test_without_a_library_there_is_json(
    typed: Typed, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert isinstance(parquet.engine(), parquet.DuckDb)
    monkeypatch.setitem(sys.modules, "duckdb", None)
    done = typed("export", "--parquet", tmp_path / "history", "--state-dir", state)
    assert done.returncode == 64
    assert "pip install 'dbt-relay[parquet]'" in done.stderr
    assert not (tmp_path / "history").exists()
    done = typed("export", "--jsonl", tmp_path / "all.jsonl", "--state-dir", state)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path / 'all.jsonl'}\n")
    assert len((tmp_path / "all.jsonl").read_text().splitlines()) == 72


def test_both_forms_at_once_are_refused(typed: Typed, tmp_path: Path) -> None:
    done = typed("export", "--parquet", tmp_path, "--jsonl", "-")
    assert done.returncode == 64
    assert "exclude each other" in done.stderr


def test_an_interrupted_write_leaves_no_draft(tmp_path: Path) -> None:
    def interrupted() -> None:
        with whole_file(tmp_path / "a") as draft:
            draft.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [*tmp_path.iterdir()] == []
    with (
        pytest.raises(ExportError, match="no-such-folder"),
        whole_file(tmp_path / "no-such-folder" / "a") as draft,
    ):
        draft.write_text("x")
