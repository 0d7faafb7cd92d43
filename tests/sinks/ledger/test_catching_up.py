"""Each run that is over gets its rows in the ledger, once, and keeps them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from support.journal_disk import copy_of_disk
from support.ledgers import FIRST, PROJECT, at, put, timed, told
from support.scripts import outputs, start

from dbt_relay.records.schema import RunRecord
from dbt_relay.sinks import Journal, RunInfo
from dbt_relay.sinks.journal.history import prune
from dbt_relay.sinks.ledger import reading
from dbt_relay.sinks.ledger.catching_up import catch_up, forget
from dbt_relay.sinks.ledger.file import FILE, open_ledger
from dbt_relay.sinks.ledger.rows import query_id_text, row_of

if TYPE_CHECKING:
    from pathlib import Path


def test_a_run_outlives_the_journal(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        for run in range(3):
            put(journal, run, timed("model.shop.a", run, 1.0 + run))
            with open_ledger(tmp_path) as ledger:
                catch_up(journal, ledger)
            prune(journal, datetime.now(timezone.utc), 1, 365_000)
        assert [past for (past,) in journal.database.rows("select id from run")] == [3]
    assert told(tmp_path) == {
        "model.shop.a": [(1, "success", 1.0), (2, "success", 2.0), (3, "success", 3.0)]
    }


def test_a_run_is_written_once(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal, open_ledger(tmp_path) as ledger:
        put(journal, 0, timed("a", 0))
        assert [catch_up(journal, ledger) for _ in range(3)] == [1, 0, 0]


def test_the_amended_record_of_a_node_wins(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        begun = journal.begin(RunInfo(command=("dbt",), started_at=at(0), project_dir=PROJECT))
        begun.put(timed("a", 0, 1.0), 0.0)
        begun.put(timed("a", 0, 2.0, status="error", sequence=2), 0.0)
        begun.put(RunRecord(state="finished"), 0.0)
    assert told(tmp_path) == {"a": [(1, "failure", 2.0)]}


def test_a_run_that_goes_on_is_not_written_until_it_is_over(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal, open_ledger(tmp_path) as ledger:
        begun = journal.begin(RunInfo(command=("dbt",), started_at=at(0), project_dir=PROJECT))
        begun.put(RunRecord(state="running"), 0.0)
        begun.put(timed("a", 0), 0.0)
        assert catch_up(journal, ledger) == 0
        begun.put(timed("b", 0), 0.0)
        # As at the end of `run`, which still holds the run's lock.
        begun.put(RunRecord(state="finished"), 0.0)
        assert catch_up(journal, ledger) == 1
    assert {*told(tmp_path)} == {"a", "b"}


def test_a_run_whose_relay_was_killed_has_the_nodes_that_it_had_committed(tmp_path: Path) -> None:
    with Journal(tmp_path / "alive") as journal:
        begun = journal.begin(RunInfo(command=("dbt",), started_at=at(0), project_dir=PROJECT))
        begun.put(RunRecord(state="running"), 0.0)
        begun.put(timed("a", 0), 0.0)
        dead = copy_of_disk(tmp_path / "alive", tmp_path / "dead")
    assert told(dead) == {"a": [(1, "success", 1.0)]}
    with Journal(dead) as journal, open_ledger(dead) as ledger:
        # `deliver` takes the run over, and says that it died.
        adopted = journal.adopt(1)
        assert adopted is not None
        adopted.put(RunRecord(state="died"), 0.0)
        adopted.close()
        assert catch_up(journal, ledger) == 0
    assert told(dead) == {"a": [(1, "success", 1.0)]}


def test_a_node_that_an_earlier_attempt_ran_counts_once(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        put(journal, 0, timed("a", 0, 5.0), timed("b", 0, status="error"), attempt=1)
        put(journal, 1, timed("a", 0, 5.0, resumed_from=1), timed("b", 1), attempt=2)
    assert told(tmp_path) == {
        "a": [(1, "success", 5.0)],
        "b": [(1, "failure", 1.0), (2, "success", 1.0)],
    }


def test_a_node_that_was_run_again_by_itself_counts_as_a_run(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        put(journal, 0, timed("a", 0, status="error"))
        put(journal, 1, timed("a", 1, renewed=True), renews=True)
    assert told(tmp_path) == {"a": [(1, "failure", 1.0), (2, "success", 1.0)]}


def test_a_replay_of_a_log_that_was_relayed_counts_nothing(tmp_path: Path) -> None:
    ended = RunRecord(state="finished", invocation_id="x")
    with Journal(tmp_path) as journal:
        for command in (("dbt", "run"), ("replay", "dbt.log"), ("replay", "dbt.log")):
            info = RunInfo(command=command, started_at=at(5), project_dir=PROJECT)
            begun = journal.begin(info)
            begun.put(timed("a", 5), 0.0)
            begun.put(ended, 0.0)
            begun.close()
    assert told(tmp_path) == {"a": [(1, "success", 1.0)]}


def test_a_replayed_log_is_as_old_as_its_nodes(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        put(journal, 0, timed("a", 0, 1.0))
        put(journal, 2, timed("a", 2, 3.0))
        put(journal, 9, timed("a", 1, 2.0), command=("replay", "dbt.log"))
    assert [seconds for _, _, seconds in told(tmp_path)["a"]] == [1.0, 2.0, 3.0]
    with open_ledger(tmp_path) as ledger:
        query = "select finished_at - started_at from run where number = 3"
        assert ledger.db.execute(query).fetchone() == (2.0,)


def test_two_processes_write_each_run_once(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        for run in range(40):
            put(journal, run, *(timed(f"n{n}", run) for n in range(20)))
    code = f"""
from pathlib import Path
from dbt_relay.sinks import Journal
from dbt_relay.sinks.ledger.catching_up import catch_up
from dbt_relay.sinks.ledger.file import open_ledger
state = Path({str(tmp_path)!r})
with Journal(state) as journal, open_ledger(state) as ledger:
    print(catch_up(journal, ledger))
"""
    written = outputs([start(code) for _ in range(2)])
    assert sum(map(int, written)) == 40
    assert {node: len(results) for node, results in told(tmp_path).items()} == {
        f"n{n}": 40 for n in range(20)
    }


class TestForget:
    def test_what_is_older_than_the_days_goes(self, tmp_path: Path) -> None:
        with Journal(tmp_path) as journal, open_ledger(tmp_path) as ledger:
            for run in range(10):
                put(journal, run, timed(f"n{run // 5}", run, checksum=f"c{run}"))
            catch_up(journal, ledger)
            now = (FIRST + timedelta(days=9, minutes=-1)).timestamp()
            assert forget(ledger, now, 9.5) == 0
            assert forget(ledger, now, 4.0) == 5
            assert [run.number for run in reading.runs(ledger, PROJECT)] == [6, 7, 8, 9, 10]
            rows = ledger.db.execute("select text from word order by text").fetchall()
            assert [text for (text,) in rows] == ["c5", "c6", "c7", "c8", "c9", "success"]
            assert ledger.db.execute("select unique_id from node").fetchall() == [("n1",)]

    def test_no_day_forgets_all(self, tmp_path: Path) -> None:
        with Journal(tmp_path) as journal, open_ledger(tmp_path) as ledger:
            put(journal, 0, timed("a", 0))
            catch_up(journal, ledger)
            assert forget(ledger, datetime.now(timezone.utc).timestamp(), 0) == 1
            assert reading.projects(ledger) == []

    def test_it_deletes_once_a_day(self, tmp_path: Path) -> None:
        with Journal(tmp_path) as journal, open_ledger(tmp_path) as ledger:
            for run in range(4):
                put(journal, run, timed("a", run))
            catch_up(journal, ledger)
            start = FIRST.timestamp()
            deleted = [forget(ledger, start + (2 + h / 24) * 86_400, 2.0) for h in range(1, 49)]
            assert [(hour, n) for hour, n in enumerate(deleted) if n] == [(24, 2)]


class TestRows:
    @pytest.mark.parametrize(
        ("answer", "counts"),
        [
            # dbt-postgres 1.10, dbt-bigquery 1.10, dbt-snowflake 1.10
            (
                {"_message": "SELECT 10", "code": "SELECT", "rows_affected": 10},
                (10, None, None, None, None),
            ),
            (
                {
                    "_message": "CREATE TABLE (3.0 rows, 2.1 MiB processed)",
                    "code": "CREATE TABLE",
                    "rows_affected": 3,
                    "bytes_processed": 2_202_009,
                    "bytes_billed": 10_485_760,
                    "slot_ms": 812,
                    "job_id": "11bc1113-13ef-41d2-9383-c04d5420040d",
                },
                (3, 2_202_009, 10_485_760, 812, "11bc1113-13ef-41d2-9383-c04d5420040d"),
            ),
            (
                {"code": "SUCCESS", "rows_affected": 1, "query_id": "01BC1113-13ef-41d2-9383-c04d"},
                (1, None, None, None, "01BC1113-13ef-41d2-9383-c04d"),
            ),
            ({"rows_affected": -1, "query_id": ""}, (None,) * 5),
            ({"rows_affected": "many", "slot_ms": 1.5}, (None,) * 5),
        ],
    )
    def test_what_an_adapter_counts(self, answer: Any, counts: tuple[Any, ...]) -> None:
        import json

        record = timed("a", 0, adapter_response=answer)
        row = row_of("a", json.dumps(record.to_json()).encode())
        assert row is not None
        assert (*row[6:10], query_id_text(row.query_id)) == counts

    @pytest.mark.parametrize(
        "body", [b"", b"[]", b"{", b'{"schema": "dbt-relay/node@1", "outcome": 5}', b"\xff"]
    )
    def test_a_damaged_body_has_no_row(self, body: bytes) -> None:
        assert row_of("a", body) is None

    def test_a_text_that_no_database_takes_is_kept(self, tmp_path: Path) -> None:
        with Journal(tmp_path) as journal:
            put(journal, 0, timed("a\ud800", 0, status="odd\udfff"))
        assert told(tmp_path) == {"a\\ud800": [(1, "warning", 1.0)]}


def test_the_file_belongs_to_its_user_alone(tmp_path: Path) -> None:
    with Journal(tmp_path / "state") as journal:
        put(journal, 0, timed("a", 0))
    told(tmp_path / "state")
    assert (tmp_path / "state" / FILE).stat().st_mode & 0o777 == 0o600
