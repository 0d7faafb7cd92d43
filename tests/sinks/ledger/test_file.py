"""The ledger's file: its damage, its version, and what else may lie in its place."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest
from support.journal_disk import PAGE, copy_of_disk
from support.ledgers import PROJECT, put, timed, told

from dbt_relay.cli.relay.ledger import NoLedgerError, keep_figures, ledger_to_read
from dbt_relay.sinks import Journal
from dbt_relay.sinks.journal import history
from dbt_relay.sinks.ledger import reading
from dbt_relay.sinks.ledger.file import FILE, LedgerError, open_ledger

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_795_000_000.0


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A journal with three runs, and a ledger that has them."""
    with Journal(tmp_path / "state", pytest.fail) as journal:
        for run in range(3):
            put(journal, run, *(timed(f"n{n}", run) for n in range(200)))
    assert len(told(tmp_path / "state")) == 200
    return tmp_path / "state"


def ends_a_run(state: Path) -> list[str]:
    """What a relay says of the ledger when it ends."""
    with Journal(state, pytest.fail) as journal:
        lines = [*keep_figures(journal, NOW, 365.0)]
        assert len(history.runs(journal)) == 3
        return lines


@pytest.mark.parametrize("damage", ["text", "cut", "zeroed", "foreign"])
def test_a_damaged_ledger_is_set_aside_and_costs_the_journal_nothing(
    state: Path, damage: str
) -> None:
    path = state / FILE
    whole = path.read_bytes()
    if damage == "foreign":
        path.unlink()
        with closing(sqlite3.connect(path)) as db:
            db.execute("create table diary (day)")
    else:
        path.write_bytes(
            {
                "text": b"dear diary" * 100,
                "cut": whole[: len(whole) // 2],
                "zeroed": whole[:4096] + bytes(len(whole) - 4096),
            }[damage]
        )
    before = path.read_bytes()
    (line,) = ends_a_run(state)
    assert line.startswith(f"relay: the ledger {path} was damaged (")
    (aside,) = state.glob("journal.db.damaged-*-ledger")
    assert aside.read_bytes() == before
    assert ends_a_run(state) == []
    # The journal still has the runs.
    assert {len(results) for results in told(state).values()} == {3}


def test_damage_that_shows_while_somebody_reads(state: Path) -> None:
    path = state / FILE
    whole = bytearray(path.read_bytes())
    # Opening reads the first leaf of each table. The last pages have results.
    whole[-2 * PAGE :] = b"\xff" * (2 * PAGE)
    path.write_bytes(whole)
    with Journal(state, pytest.fail) as journal:
        with pytest.raises(NoLedgerError, match="Type the command again"):
            read(journal)
        assert read(journal) == 200


def read(journal: Journal) -> int:
    """How many nodes the ledger has."""
    with ledger_to_read(journal) as ledger:
        return len([*reading.results(ledger, reading.runs(ledger, PROJECT))])


def test_a_ledger_of_a_newer_dbt_relay_stays_as_it_is(state: Path) -> None:
    path = state / FILE
    with closing(sqlite3.connect(path)) as db:
        db.execute("pragma user_version = 99")
    before = path.read_bytes()
    (line,) = ends_a_run(state)
    assert "a newer dbt-relay wrote it in version 99" in line
    with (
        Journal(state, pytest.fail) as journal,
        pytest.raises(NoLedgerError, match="a newer dbt-relay"),
        ledger_to_read(journal),
    ):
        pass
    assert path.read_bytes() == before


@pytest.mark.parametrize("what", ["link", "folder"])
def test_what_is_not_a_file_of_the_relay_is_not_touched(state: Path, what: str) -> None:
    path = state / FILE
    path.unlink()
    other = state.parent / "other"
    other.write_text("mine")
    if what == "link":
        path.symlink_to(other)
    else:
        path.mkdir()
    with pytest.raises(LedgerError, match=r"journal\.db\.ledger in it is"):
        open_ledger(state)
    (line,) = ends_a_run(state)
    assert "this run is not yet in the statistics" in line
    assert other.read_text() == "mine"


def test_a_ledger_that_another_process_writes_is_filled_later(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dbt_relay.sinks.ledger.file._BUSY", 0.01)
    with Journal(state) as journal:
        put(journal, 3, timed("n0", 3))
        with closing(sqlite3.connect(state / FILE, isolation_level=None)) as db:
            db.execute("begin immediate")
            (line,) = [*keep_figures(journal, NOW, 365.0)]
            assert "database is locked" in line
        assert [*keep_figures(journal, NOW, 365.0)] == []
    assert len(told(state)["n0"]) == 4


def test_a_journal_in_memory_has_no_ledger() -> None:
    with Journal(None) as journal:
        assert [*keep_figures(journal, NOW, 365.0)] == []


def test_the_journal_does_not_take_the_ledger_for_a_stranger(state: Path) -> None:
    """An older dbt-relay makes the folder private only if every name in it is the journal's."""
    (state / FILE).chmod(0o644)
    state.chmod(0o755)
    with Journal(state, pytest.fail):
        assert state.stat().st_mode & 0o777 == 0o700
        assert (state / FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("filler", [b"\0", b"\xff"])
def test_each_page_damaged_in_turn(state: Path, tmp_path: Path, filler: bytes) -> None:
    """Nothing is raised but what a command can print, and the second look is whole again."""
    whole = (state / FILE).read_bytes()
    for page in range(len(whole) // PAGE):
        other = copy_of_disk(state, tmp_path / f"page{page}")
        damaged = whole[: page * PAGE] + filler * PAGE + whole[(page + 1) * PAGE :]
        (other / FILE).write_bytes(damaged)
        with Journal(other, pytest.fail) as journal:
            put(journal, 3, timed("n0", 3))
            [*keep_figures(journal, NOW, 365.0)]
            for _ in range(2):
                with suppress(NoLedgerError):
                    read(journal)
            nodes = read(journal)
        assert nodes == 200, page
