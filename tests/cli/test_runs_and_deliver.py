"""What `runs` and `deliver` count, and that a death is told once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from support.journals import info
from support.records import node

from dbt_relay.cli.deliver import _deliver
from dbt_relay.cli.main import cli
from dbt_relay.cli.settings import Connection, Keeping, Reaching, Sending
from dbt_relay.records.schema import RunRecord
from dbt_relay.sinks import Journal, JournalRun
from dbt_relay.sinks.journal import history

if TYPE_CHECKING:
    from pathlib import Path


def said(*words: str) -> str:
    return CliRunner().invoke(cli, words, standalone_mode=False).output


@pytest.mark.parametrize(("number", "words"), [(1, "1 run"), (2, "2 runs")])
def test_the_runs_of_a_journal(number: int, words: str, tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        for _ in range(number):
            journal.begin(info()).close()
    last = said("runs", "--state-dir", str(tmp_path)).splitlines()[-1]
    assert last.startswith(f"{tmp_path / 'journal.db'}: {words}, ")


@pytest.mark.parametrize(("number", "words"), [(1, "1 record"), (2, "2 records")])
def test_the_records_that_a_damaged_journal_lost(
    number: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(tmp_path) as journal:
        run = journal.begin(info([]))
        run.put(node("model.a.b", "error"), 0.0)
        run.close()
    count_puts = JournalRun.take_lock

    def take_lock(run: JournalRun) -> bool:
        is_taken = count_puts(run)
        run.lost = number
        return is_taken

    monkeypatch.setattr(JournalRun, "take_lock", take_lock)
    done = said("deliver", "1", "--state-dir", str(tmp_path))
    assert f"relay: run 1: lost {words}: the journal was damaged\n" in done


def test_of_two_that_find_it_dead_only_the_first_says_so(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        run = journal.begin(info([]))
        run.put(RunRecord(state="running"), 0)
        run.close()
        past = history.past_run(journal, run.number)
        settings = Reaching(Connection(), Sending(), Keeping())
        for _ in range(2):
            assert _deliver(journal, past, settings, force=False) == 0
            assert history.records(journal, 1)[RunRecord.key].to_json()["state"] == "died"
            assert journal.database.rows("select version from record") == [(2,)]
