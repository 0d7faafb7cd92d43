"""Past runs in the journal: what it knows of them, and when it deletes them."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from support.journal_disk import copy_of_disk
from support.journals import info, node

from dbt_relay.records.schema import NodeRecord, RunRecord
from dbt_relay.sinks import Journal, JournalRun
from dbt_relay.sinks.journal import history
from dbt_relay.sinks.journal.history import Pruned, prune

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
AIRFLOW = {"dag_id": "shop", "run_id": "run+1", "task_id": "dbt", "map_index": -1}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "state", pytest.fail) as journal:
        yield journal


def ago(**span: float) -> str:
    return (NOW - timedelta(**span)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def a_run(journal: Journal, *, waiting: int = 0, delivered: int = 1, **fields: Any) -> JournalRun:
    """A run with so many records, none of them on its way. This process holds its lock."""
    run = journal.begin(info(**{"started_at": ago(hours=1), **fields}))
    for number in range(delivered + waiting):
        run.put(node(f"n{number}"), number)
    while (leased := run.queue("airflow").lease(delivered - 1)) is not None:
        run.queue("airflow").acknowledge(leased)
    return run


def numbers(journal: Journal) -> list[int]:
    return [past.number for past in history.runs(journal)]


class TestRuns:
    def test_the_newest_comes_first(self, journal: Journal) -> None:
        assert history.runs(journal) == []
        for _ in range(3):
            journal.begin(info())
        assert numbers(journal) == [3, 2, 1]
        assert [past.number for past in history.runs(journal, 2)] == [3, 2]

    def test_all_that_is_known_of_a_run(self, journal: Journal) -> None:
        run = journal.begin(info(("airflow", "jsonl"), cwd="/shop", target_dir="/t", **AIRFLOW))
        failed = NodeRecord(unique_id="m", status="error", outcome="failure", message="no")
        for record in (failed, node("a"), node("b"), RunRecord(state="running")):
            run.put(record, 0)
        for _ in range(2):
            leased = run.queue("airflow").lease(0)
            assert leased is not None
            run.queue("airflow").reject(leased, "422")
        past = history.past_run(journal, run.number)
        assert past.info == run.info
        assert past.nodes == {"failure": 1, "success": 2}
        assert past.delivery == {"airflow": {"rejected": 2, "waiting": 1}, "jsonl": {"waiting": 3}}
        assert (past.count("waiting"), past.count("rejected"), past.count("delivered")) == (4, 2, 0)
        assert past.bytes > 100
        assert [*history.records(journal, run.number)] == ["m", "a", "b", RunRecord.key]
        assert history.records(journal, run.number)["m"] == failed
        assert ("airflow", "rejected", "m", "422") in history.reasons(journal, run.number)
        assert ("jsonl", "waiting", "m", "not sent yet") in history.reasons(journal, run.number)

    def test_a_run_is_waiting_if_only_its_run_record_waits(self, journal: Journal) -> None:
        run = a_run(journal)
        assert not history.past_run(journal, run.number).is_waiting
        run.put(RunRecord(state="finished"), 9)
        past = history.past_run(journal, run.number)
        assert past.is_waiting
        assert past.count("waiting") == 0

    def test_a_number_without_a_run(self, journal: Journal) -> None:
        with pytest.raises(LookupError):
            history.past_run(journal, 7)
        with pytest.raises(LookupError):
            journal.adopt(7)


class TestState:
    @pytest.mark.parametrize(
        ("record", "is_alive", "state", "died_unnoticed"),
        [
            (None, True, "running", False),
            (None, False, "died", True),
            ("running", True, "running", False),
            ("running", False, "died", True),
            ("finished", True, "finished", False),
            ("finished", False, "finished", False),
            ("died", True, "died", False),
            ("died", False, "died", False),
        ],
    )
    def test_the_state_follows_from_the_run_record_and_the_owner(
        self, tmp_path: Path, record: Any, is_alive: bool, state: str, died_unnoticed: bool
    ) -> None:
        with Journal(tmp_path / "state") as journal:
            run = journal.begin(info())
            if record is not None:
                run.put(RunRecord(state=record), 0)
            if is_alive:
                past = history.past_run(journal, run.number)
            else:
                dead = copy_of_disk(tmp_path / "state", tmp_path / "dead")
                with Journal(dead) as later:
                    past = history.past_run(later, run.number)
        assert (past.state, past.has_owner) == (state, is_alive)
        assert past.died_unnoticed == died_unnoticed


class TestPrune:
    def test_the_latest_are_kept(self, journal: Journal) -> None:
        for _ in range(5):
            a_run(journal).close()
        assert prune(journal, NOW, 3, 14) == Pruned(2, 0)
        assert numbers(journal) == [5, 4, 3]
        assert prune(journal, NOW, 3, 14) == Pruned(0, 0)

    def test_nothing_is_left_of_a_run(self, journal: Journal) -> None:
        a_run(journal, waiting=2, started_at=ago(days=15)).close()
        prune(journal, NOW, 3, 14)
        for table in ("run", "sink", "record", "delivery"):
            assert journal.database.rows(f"select * from {table}") == []
        assert journal.state_dir is not None
        assert [*(journal.state_dir / "claims").iterdir()] == []

    def test_old_runs_are_deleted_even_if_they_are_few(self, journal: Journal) -> None:
        a_run(journal, started_at=ago(days=14, seconds=1)).close()
        a_run(journal, started_at=ago(days=14)).close()
        assert prune(journal, NOW, 50, 14) == Pruned(1, 0)
        assert numbers(journal) == [2]

    def test_a_run_with_waiting_records_is_deleted_for_its_age_only(self, journal: Journal) -> None:
        a_run(journal, waiting=3, started_at=ago(days=15)).close()
        a_run(journal, waiting=3, started_at=ago(days=13)).close()
        for _ in range(2):
            a_run(journal).close()
        assert prune(journal, NOW, 1, 14) == Pruned(2, 3)
        assert numbers(journal) == [4, 2]

    def test_a_record_that_waits_for_two_sinks_is_counted_once(self, journal: Journal) -> None:
        run = journal.begin(info(("airflow", "jsonl"), started_at=ago(days=15)))
        run.put(node("a"), 0)
        run.close()
        assert prune(journal, NOW, 50, 14) == Pruned(1, 1)

    def test_a_run_with_an_owner_is_never_deleted(self, journal: Journal) -> None:
        """Nor is a run that this process itself works on."""
        a_run(journal, started_at=ago(days=99))
        assert journal.state_dir is not None
        with Journal(journal.state_dir) as other:
            a_run(other, started_at=ago(days=99), waiting=1)
            a_run(journal).close()
            assert prune(journal, NOW, 1, 14) == Pruned(0, 0)
            assert prune(journal, NOW, 1, 0) == Pruned(1, 0)
            assert numbers(journal) == [2, 1]

    def test_a_journal_in_memory_is_left_alone(self) -> None:
        with Journal(None) as journal:
            a_run(journal, started_at=ago(days=99))
            assert prune(journal, NOW, 1, 0) == Pruned(0, 0)
            assert numbers(journal) == [1]

    def test_the_file_shrinks(self, journal: Journal) -> None:
        assert journal.state_dir is not None
        for _ in range(3):
            run = journal.begin(info((), started_at=ago(days=15)))
            for number in range(100):
                run.put(node(str(number), message="x" * 10_000), 0)
            run.close()
        journal.database.rows("pragma wal_checkpoint(truncate)")
        before = history.size(journal.state_dir)
        prune(journal, NOW, 50, 14)
        journal.database.rows("pragma wal_checkpoint(truncate)")
        assert before > 3e6
        assert history.size(journal.state_dir) < 1e5

    def test_a_journal_that_was_set_aside_is_deleted_for_its_age(self, tmp_path: Path) -> None:
        (tmp_path / "journal.db").write_bytes(b"dear diary\n" * 999)
        (tmp_path / "claims").mkdir()
        warnings: list[str] = []
        with Journal(tmp_path, warnings.append) as journal:
            assert len(warnings) == 1
            for when in ("20260214T120000.000001-1", "20260215T120000.000001-2"):
                (tmp_path / f"journal.db.damaged-{when}").touch()
                (tmp_path / f"journal.db.damaged-{when}-wal").touch()
            prune(journal, NOW, 50, 14)
            left = sorted(path.name for path in tmp_path.glob("*.damaged-*"))
            assert left[:2] == [
                "journal.db.damaged-20260215T120000.000001-2",
                "journal.db.damaged-20260215T120000.000001-2-wal",
            ]
            prune(journal, datetime.now(timezone.utc) + timedelta(minutes=1), 50, 0)
            assert not list(tmp_path.glob("*.damaged-*"))


class TestAttempts:
    def test_all_attempts_oldest_first(self, journal: Journal) -> None:
        runs = [a_run(journal, attempt=n, started_at=ago(hours=n), **AIRFLOW) for n in (1, 2, 1)]
        found = history.attempts(journal, info(attempt=4, **AIRFLOW))
        assert found == [(run.number, run.info) for run in runs]

    @pytest.mark.parametrize(
        "other",
        [
            {"dag_id": "x"},
            {"run_id": "x"},
            {"task_id": "x"},
            {"map_index": 0},
            {"attempt": None},
            {"renews": True},
        ],
    )
    def test_a_run_of_another_task_instance_is_no_attempt(
        self, journal: Journal, other: dict[str, Any]
    ) -> None:
        a_run(journal, **{**AIRFLOW, "attempt": 1, **other})
        assert history.attempts(journal, info(attempt=2, **AIRFLOW)) == []

    def test_outside_airflow_there_are_none(self, journal: Journal) -> None:
        a_run(journal)
        a_run(journal, attempt=1)
        assert history.attempts(journal, info(attempt=2)) == []

    def test_an_unreadable_run_is_left_out(self, journal: Journal) -> None:
        for attempt in (1, 2, 3):
            a_run(journal, attempt=attempt, **AIRFLOW)
        journal.database.execute("update run set environment = '7' where id = 2")
        journal.database.execute("update run set command = 'x' where id = 3")
        assert [n for n, _ in history.attempts(journal, info(attempt=4, **AIRFLOW))] == [1]


class TestTargetDir:
    def test_it_can_be_set_after_the_run_began(self, tmp_path: Path) -> None:
        with Journal(tmp_path / "state", pytest.fail) as journal:
            run = a_run(journal, target_dir="/p/{{ x }}")
            run.set_target_dir("/p/build/prod")
            assert history.past_run(journal, run.number).info.target_dir == "/p/build/prod"
            assert run.info.target_dir == "/p/build/prod"

    def test_a_journal_that_replaces_this_one_knows_it_too(self, tmp_path: Path) -> None:
        warnings: list[str] = []
        with Journal(tmp_path / "state", warnings.append) as journal:
            run = a_run(journal, target_dir="/p/{{ x }}")
            run.set_target_dir("/p/build/prod")
            errors = iter([sqlite3.DatabaseError("this is a test")])

            def read(_: sqlite3.Connection) -> None:
                for error in errors:
                    raise error

            journal.database.read(read)
            assert history.past_run(journal, run.number).info == run.info
        assert len(warnings) == 1


def test_the_size_includes_every_file_of_the_journal(tmp_path: Path) -> None:
    for name in ("journal.db", "journal.db-wal", "journal.db.damaged-1"):
        (tmp_path / name).write_bytes(bytes(100))
    (tmp_path / "other").write_bytes(bytes(100))
    assert history.size(tmp_path) == 300
