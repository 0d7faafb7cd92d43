"""A journal of an older version is brought up to date, a journal of a newer one is not changed."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from support.journal_disk import drain
from support.journals import info, node
from support.scripts import outputs, start

from dbt_relay.records.schema import RunRecord
from dbt_relay.sinks import Journal
from dbt_relay.sinks.journal import history, storage

if TYPE_CHECKING:
    from pathlib import Path

FIRST = """
create table run (
    id integer primary key autoincrement, token text not null, command text not null, cwd text,
    target_dir text, dag_id text, run_id text, task_id text, map_index integer, attempt integer,
    started_at text not null
);
create table sink (
    id integer primary key autoincrement, run integer not null, name text not null,
    address text not null, unique (run, name)
);
create table record (
    id integer primary key autoincrement, run integer not null, key text not null,
    version integer not null default 1, outcome text, body blob not null, unique (run, key)
);
create table delivery (
    id integer primary key autoincrement, run integer not null, sink text not null,
    key text not null, state text not null default 'waiting', reason text,
    due real not null default 0, unique (run, sink, key)
);
create index waiting on delivery (run, sink, due, id) where state = 'waiting';
insert into run values (1, 'abc', '["dbt", "build"]', '/p', '/p/target', 'shop', 'r', 'dbt', -1, 1,
    '2026-01-02T03:04:05Z');
insert into sink values (1, 1, 'airflow', '{"path": "/airflow"}');
insert into record values (1, 1, 'a', 1, 'success', '{"schema": "dbt-relay/node@1",
    "unique_id": "a", "status": "success", "outcome": "success"}');
insert into delivery (run, sink, key) values (1, 'airflow', 'a');
pragma user_version = 1;
"""
"""The schema of version 1, and a run."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / "journal.db")) as db:
        db.execute("pragma journal_mode = wal")
        db.executescript(FIRST)
    return tmp_path


def version_of(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "journal.db")) as db:
        return db.execute("pragma user_version").fetchone()[0]


def as_version(folder: Path, version: int) -> bytes:
    """Make a journal that claims to be of this version; the content of its file."""
    with Journal(folder, pytest.fail) as journal:
        run = journal.begin(info())
        run.put(node("a"), 0)
    with closing(sqlite3.connect(folder / "journal.db")) as db:
        db.execute(f"pragma user_version = {version}")
    return (folder / "journal.db").read_bytes()


class TestOlder:
    def test_its_columns_are_read_and_missing_columns_are_unknown(self, old: Path) -> None:
        with Journal(old, pytest.fail) as journal:
            (past,) = history.runs(journal)
            assert past.info.command == ("dbt", "build")
            assert (past.info.environment, past.info.airflow_url) == (None, None)
            assert not past.info.renews
            run = journal.adopt(past.number)
            assert run is not None
            assert drain(run) == ["a"]
            new = info(environment={"dbt": "1"}, airflow_url="http://a", project_dir="/p")
            number = journal.begin(new).number
            assert history.past_run(journal, number).info == new
        assert version_of(old) == storage.VERSION

    @pytest.mark.parametrize("column", ["dag_id", "run_id", "task_id"])
    def test_a_run_that_lacks_an_id_has_no_task(self, old: Path, column: str) -> None:
        with closing(sqlite3.connect(old / "journal.db")) as db, db:
            db.execute(f"update run set {column} = null")
        with Journal(old, pytest.fail) as journal:
            (past,) = history.runs(journal)
            assert past.info.task is None

    def test_a_relay_of_the_old_version_can_go_on_in_it(self, old: Path) -> None:
        """Such a relay may be in the middle of its run. It names the columns that it knows."""
        before = sqlite3.connect(old / "journal.db", isolation_level=None)
        with closing(before), Journal(old, pytest.fail) as journal:
            before.execute(
                "insert into run (token, command, attempt, started_at) values ('x', '[]', 2, '')"
            )
            assert [past.info.environment for past in history.runs(journal)] == [None, None]

    def test_several_processes_open_it_at_once(self, old: Path) -> None:
        script = """
import sys
from pathlib import Path
from dbt_relay.sinks import Journal
from dbt_relay.sinks.journal import history
sys.stdin.readline()
warnings = []
with Journal(Path(sys.argv[1]), warnings.append) as journal:
    print(len(history.runs(journal)), journal.trouble, warnings)
"""
        processes = [start(script, old) for _ in range(4)]
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        assert outputs(processes) == ["1 None []\n"] * 4
        assert version_of(old) == storage.VERSION

    def test_several_threads_bring_one_file_up_to_date(self, old: Path) -> None:
        """Without the lock `opening`: relays on two kernels do not see each other's locks."""
        ready, faults = threading.Barrier(4), list[BaseException]()

        def open_it() -> None:
            try:
                ready.wait()
                storage.connect(old / "journal.db").close()
            except BaseException as error:
                faults.append(error)

        threads = [threading.Thread(target=open_it) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert faults == []
        assert version_of(old) == storage.VERSION

    def test_an_upgrade_that_fails_half_way_changes_nothing(
        self, old: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(storage, "ADDED_COLUMNS", {2: {"airflow_url": "text", "id": "text"}})
        with pytest.raises((storage.DamagedError, sqlite3.Error)):
            storage.connect(old / "journal.db")
        monkeypatch.undo()
        with Journal(old, pytest.fail) as journal:
            assert len(history.runs(journal)) == 1

    def test_a_damaged_one_is_salvaged_with_the_columns_that_it_has(self, old: Path) -> None:
        with closing(sqlite3.connect(old / "journal.db")) as db:
            db.execute("drop table delivery")
        warnings: list[str] = []
        with Journal(old, warnings.append) as journal:
            (past,) = history.runs(journal)
            assert past.info.task is not None
            assert past.info.task.dag_id == "shop"
            assert past.info.environment is None
            assert [*history.records(journal, past.number)] == ["a"]
        assert len(warnings) == 1
        assert "set aside" in warnings[0]


class TestNewer:
    @pytest.mark.parametrize("version", [storage.VERSION + 1, 7, 1000, 2**31 - 1])
    def test_it_is_not_changed(self, tmp_path: Path, version: int) -> None:
        before = as_version(tmp_path, version)
        warnings: list[str] = []
        with Journal(tmp_path, warnings.append) as journal:
            run = journal.begin(info())
            run.put(node("b"), 0)
            run.put(RunRecord(state="running"), 0)
            assert drain(run) == ["b", RunRecord.key], "the run goes on in memory"
            journal.database.checkpoint()
            assert journal.file is None
            assert journal.only_in_memory == 1
        assert len(warnings) == 1
        for words in ("newer dbt-relay", str(version), "Upgrade", "--state-dir", "unchanged"):
            assert words in warnings[0]
        assert "damaged" not in warnings[0]
        assert (tmp_path / "journal.db").read_bytes() == before
        assert not [*tmp_path.glob("*.damaged-*")]

    def test_its_version_may_be_in_the_log(self, tmp_path: Path) -> None:
        """As it is while a relay works, and after a relay was killed."""
        place = tmp_path / "journal.db"
        with Journal(tmp_path, pytest.fail):
            pass
        with closing(sqlite3.connect(place, isolation_level=None)) as newer:
            newer.execute("pragma wal_autocheckpoint = 0")
            newer.execute("pragma user_version = 9")
            warnings: list[str] = []
            with Journal(tmp_path, warnings.append) as journal:
                assert journal.file is None
            assert "newer dbt-relay" in warnings[0]
            assert newer.execute("pragma user_version").fetchone() == (9,)

    def test_it_may_become_newer_while_it_is_in_use(self, tmp_path: Path) -> None:
        warnings: list[str] = []
        with Journal(tmp_path, warnings.append) as journal:
            run = journal.begin(info())
            run.put(node("a"), 0)
            with closing(sqlite3.connect(tmp_path / "journal.db", isolation_level=None)) as newer:
                newer.execute("alter table record rename to result")
                newer.execute("pragma user_version = 9")
                newer.execute("pragma wal_checkpoint(truncate)")
            run.put(node("b"), 0)
            assert drain(run) == ["a", "b"]
        assert len(warnings) == 1
        assert "newer dbt-relay" in warnings[0]
        assert not [*tmp_path.glob("*.damaged-*")]
