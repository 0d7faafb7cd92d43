"""Damaged journals: the next process goes on, saves what can be read, and counts what is lost."""

from __future__ import annotations

import os
import random
import re
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.journal_disk import (
    FAST,
    PAGE,
    copy_of_disk,
    drain,
    killed_journal,
    take_up,
)
from support.journals import info, node
from support.scripts import race, start

from dbt_relay.sinks import Journal
from dbt_relay.sinks.journal import history

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDS = 12
WAITING = RECORDS // 2 + 1 + RECORDS
"""Half of the nodes of the run that ended, its run record, and all nodes of the killed run."""
COMMITTED = RECORDS + 1 + RECORDS
KEYS = {f"{run}.{number}" for run in ("ended", "killed") for number in range(RECORDS)}
COUNTS = re.compile(r"aside as (\S+): saved (\d+) records? from it")


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=FAST) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def whole(scratch: Path) -> Path:
    """A killed journal: the file has all records."""
    return killed_journal(scratch / "whole", RECORDS, checkpoint=True)


@pytest.fixture(scope="module")
def killed(scratch: Path) -> Path:
    """A killed journal: the log has all records except those of the first run."""
    return killed_journal(scratch / "killed", RECORDS, first_part_in_file=True)


@pytest.fixture
def folder(scratch: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        yield Path(folder)


def again(pristine: Path, folder: Path) -> Path:
    """A fresh copy of a killed journal, for the next damage."""
    place = folder / "state"
    shutil.rmtree(place, ignore_errors=True)
    return copy_of_disk(pristine, place)


def saved(warnings: list[str], place: Path) -> int:
    """How many records the warning calls saved. The damaged file has to be set aside."""
    (found,) = [match for warning in warnings if (match := COUNTS.search(warning))]
    assert (place / found[1]).exists()
    return int(found[2])


def test_a_whole_journal_causes_no_warning(whole: Path, killed: Path, folder: Path) -> None:
    for pristine in (whole, killed):
        place = again(pristine, folder)
        found = take_up(place)
        assert found.warnings == []
        assert (found.lost, found.rejected) == (0, {})
        assert sum(map(len, found.got.values())) == WAITING
        assert {path.name for path in place.iterdir()} == {"journal.db", "claims"}


@pytest.mark.parametrize("part", [0.0, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 1.0])
@pytest.mark.parametrize("odd", [0, -1, 17])
def test_a_truncated_file(whole: Path, folder: Path, part: float, odd: int) -> None:
    place = again(whole, folder)
    size = (place / "journal.db").stat().st_size
    length = min(size - 1, max(1, int(size * part) // PAGE * PAGE + odd))
    os.truncate(place / "journal.db", length)
    found = take_up(place)
    if length > size - PAGE and not found.warnings:
        return  # that part of the last page held nothing
    count = saved(found.warnings, place)
    assert found.known == count
    assert length < 0.9 * size or count > 0, "more than the last page can be read"
    if count < COMMITTED:
        assert "lost up to" in found.warnings[0] or "of killed runs" in found.warnings[-1]


def test_each_page_zeroed_in_turn(whole: Path, folder: Path) -> None:
    pages = (whole / "journal.db").stat().st_size // PAGE
    assert pages > 10
    unnoticed, counts = 0, []
    for page in range(pages):
        place = again(whole, folder)
        with (place / "journal.db").open("r+b") as file:
            file.seek(page * PAGE)
            file.write(bytes(PAGE))
        found = take_up(place)
        if not found.warnings:
            assert found.known == COMMITTED, f"page {page}: records are gone without a warning"
            assert len(found.keys) == WAITING, f"page {page}"
            unnoticed += 1
            continue
        counts.append(saved(found.warnings, place))
        assert found.known == counts[-1]
        unread = re.search(r"lost up to (\d+)", found.warnings[0])
        missing = COMMITTED - counts[-1] - len(found.rejected)
        assert missing <= int(unread[1] if unread else 0) + found.lost or page == 0
    assert unnoticed <= 3
    assert sorted(counts)[len(counts) // 2] == COMMITTED, "most pages hold no record"


@pytest.mark.parametrize("seed", range(40))
def test_flipped_bytes_in_the_file(whole: Path, folder: Path, seed: int) -> None:
    """SQLite has no checksums, so the test can only ask that the next process goes on."""
    chance = random.Random(seed)
    place = again(whole, folder)
    content = bytearray((place / "journal.db").read_bytes())
    for _ in range(chance.choice((1, 1, 5, 50))):
        content[chance.randrange(100, len(content))] ^= 1 << chance.randrange(8)
    (place / "journal.db").write_bytes(content)
    take_up(place)


@pytest.mark.parametrize("way", ["flip", "truncate"])
def test_a_damaged_log_loses_its_end_and_the_loss_is_counted(
    killed: Path, folder: Path, way: str
) -> None:
    size = (killed / "journal.db-wal").stat().st_size
    losses = set[int]()
    for step in range(25):
        place = again(killed, folder)
        log = place / "journal.db-wal"
        at = size * step // 25
        if way == "truncate":
            os.truncate(log, at)
        else:
            content = bytearray(log.read_bytes())
            content[at + 20] ^= 0x10
            log.write_bytes(content)
        found = take_up(place)
        told = re.search(r"lost (\d+) records? of killed runs", "".join(found.warnings))
        lost = found.lost + int(told[1] if told else 0)
        there = len([key for key in found.keys if key.startswith("killed.")])
        assert there + lost == RECORDS, f"{way} at {at}"
        assert len([key for key in found.keys if key.startswith("ended.")]) == RECORDS // 2
        losses.add(lost)
        assert not list(place.glob("journal.db.damaged-*")), "the file itself is whole"
    assert len(losses) > 5, losses
    assert RECORDS in losses


def test_an_emptied_file_is_saved_from_its_log(scratch: Path, folder: Path) -> None:
    place = again(killed_journal(scratch / "log only", RECORDS), folder)
    os.truncate(place / "journal.db", 0)
    found = take_up(place)
    assert saved(found.warnings, place) == COMMITTED
    assert len(found.keys) == WAITING


@pytest.mark.parametrize("what", ["text", "zeros", "folder", "header"])
def test_a_file_that_is_no_longer_a_journal(folder: Path, what: str) -> None:
    """The folder of locks says that it was one. `test_folder` has files without that folder."""
    path = folder / "journal.db"
    (folder / "claims").mkdir()
    if what == "folder":
        path.mkdir()
        (path / "mine").touch()
    else:
        path.write_bytes(
            {"text": b"dear diary\n" * 999, "zeros": bytes(2 * PAGE)}.get(what)
            or b"SQLite format 3\0" + bytes(84)
        )
    found = take_up(folder)
    assert saved(found.warnings, folder) == 0
    assert len(found.warnings) == 1


def test_an_empty_file_is_a_new_journal(folder: Path) -> None:
    (folder / "journal.db").touch()
    assert take_up(folder).warnings == []


@pytest.mark.parametrize("version", [0, -1])
def test_a_version_that_never_was_is_set_aside_and_its_records_are_saved(
    whole: Path, folder: Path, version: int
) -> None:
    place = again(whole, folder)
    _change(place, f"pragma user_version = {version}")
    found = take_up(place)
    assert saved(found.warnings, place) == COMMITTED
    assert f"its version is {version}, not 2" in found.warnings[0]
    assert len(found.keys) == WAITING


@pytest.mark.parametrize("table", ["run", "sink", "record", "delivery"])
def test_a_missing_table(whole: Path, folder: Path, table: str) -> None:
    place = again(whole, folder)
    _change(place, f"drop table {table}")
    found = take_up(place)
    count = saved(found.warnings, place)
    assert found.known == count == (0 if table == "record" else COMMITTED)
    if table == "run":
        assert len(found.keys) == WAITING, "the sinks of the runs are still known"
    if table == "delivery":
        assert found.keys > KEYS, "records that may have been delivered are delivered again"


def test_a_missing_index(whole: Path, folder: Path) -> None:
    place = again(whole, folder)
    _change(place, "drop index waiting")
    assert len(take_up(place).keys) == WAITING


@pytest.mark.parametrize("garbage", [b"", b"\xff" * 32768, b"x" * 100])
def test_shared_memory_left_by_a_dead_process(killed: Path, folder: Path, garbage: bytes) -> None:
    place = again(killed, folder)
    (place / "journal.db-shm").write_bytes(garbage)
    found = take_up(place)
    assert found.warnings == []
    assert len(found.keys) == WAITING


def test_a_kill_while_a_journal_is_set_aside(whole: Path, folder: Path) -> None:
    place = again(whole, folder)
    (place / "journal.db.new").write_text("half of it")
    _change(place, "pragma user_version = -1")
    assert saved(take_up(place).warnings, place) == COMMITTED
    place = again(whole, folder)
    (place / "journal.db").rename(place / "journal.db.new")
    found = take_up(place)
    assert found.warnings == []
    assert len(found.keys) == WAITING


def test_an_unreadable_record_is_rejected_and_the_others_are_delivered(
    whole: Path, folder: Path
) -> None:
    place = again(whole, folder)
    _change(place, "update record set body = x'7b22' where key = 'killed.0'")
    _change(place, "update record set body = 'null' where key = 'killed.3'")
    _change(place, "delete from record where key = 'killed.5'")
    _change(place, "update record set key = 'other' where key = 'killed.7'")
    found = take_up(place)
    assert found.rejected.keys() == {"killed.0", "killed.3", "killed.5", "killed.7"}
    assert "was damaged" in found.rejected["killed.0"]
    assert len(found.keys) == WAITING - 4


@pytest.mark.parametrize(
    "damage",
    [
        "update run set command = '[' where id = 2",
        "update run set command = 7 where id = 2",
        "update sink set address = 'x' where run = 2",
        "update sink set address = '[1]' where run = 2",
        "update sqlite_sequence set seq = 'x'",
        "update sqlite_sequence set seq = 1 << 60",
    ],
)
def test_a_nonsensical_value_costs_only_its_run(whole: Path, folder: Path, damage: str) -> None:
    place = again(whole, folder)
    _change(place, damage)
    found = take_up(place)
    assert "1" in found.got, "the other run is not affected"
    place = again(whole, folder)
    _change(place, damage)
    _change(place, "pragma user_version = -1")
    assert saved(take_up(place).warnings, place) == COMMITTED


def test_each_page_zeroed_in_turn_while_the_journal_is_in_use(folder: Path) -> None:
    """No waiting record is lost: the process that put it still has it."""
    page, pages = 0, 2
    while page < pages:
        warnings: list[str] = []
        place = folder / str(page)
        with Journal(place, warnings.append) as journal:
            run = journal.begin(info(("airflow", "jsonl")))
            for number in range(20):
                run.put(node(f"n{number}", message="x" * 300), 0)
            first = [leased for _ in range(5) if (leased := run.queue("airflow").lease(0))]
            for leased in first:
                run.queue("airflow").acknowledge(leased)
            on_the_way = run.queue("airflow").lease(0)
            assert on_the_way is not None
            run.put(node(on_the_way.record.key, 2), 0)
            # Closed after the journal: closing a file ends SQLite's locks on it in this process.
            damaged = os.open(place / "journal.db", os.O_RDWR)
            journal.database.checkpoint()
            journal.database.rows("pragma shrink_memory")
            pages = os.fstat(damaged).st_size // PAGE
            os.pwrite(damaged, bytes(PAGE), page * PAGE)

            for number in range(20, 25):
                run.put(node(f"n{number}"), 0)
            run.queue("airflow").acknowledge(on_the_way)
            got = drain(run)
            assert {f"n{number}" for number in range(5, 25)} <= {*got}, f"page {page}"
            assert len(got) == len({*got})
            assert sorted(drain(run, "jsonl")) == sorted(f"n{number}" for number in range(25))
            assert journal.trouble is None
            assert run.queue("jsonl").account().delivered == {f"n{number}" for number in range(25)}
            run.put(node("last"), 0)
            number = run.number
        os.close(damaged)
        with Journal(place, warnings.append) as journal:
            assert "last" in history.records(journal, number)
            later = journal.adopt(number)
            assert later is not None
            assert [drain(later, sink) for sink in later.info.sinks] in ([], [["last"]] * 2)
            assert later.info.sinks or warnings, "the sinks of the run are lost without a warning"
        assert len(warnings) < 2
        page += 1
    assert pages > 10


def test_a_journal_that_is_deleted_while_in_use(folder: Path) -> None:
    """The workers notice at the next checkpoint. The new file then has all that still waits."""
    with Journal(folder / "state", pytest.fail) as journal:
        run = journal.begin(info())
        run.put(node("a"), 0)
        shutil.rmtree(folder / "state")
        journal.database.checkpoint()
        run.put(node("b"), 0)
        with Journal(folder / "state", pytest.fail) as other:
            (past,) = history.runs(other)
            assert past.has_owner
            assert history.records(other, past.number).keys() == {"a", "b"}
        assert sorted(drain(run)) == ["a", "b"]


def test_a_deleted_journal_that_cannot_be_made_again(folder: Path) -> None:
    warnings: list[str] = []
    with Journal(folder / "state", warnings.append) as journal:
        run = journal.begin(info())
        run.put(node("a"), 0)
        shutil.rmtree(folder / "state")
        (folder / "state").touch()
        journal.database.checkpoint()
        run.put(node("b"), 0)
        assert drain(run) == ["a", "b"]
        assert journal.only_in_memory == 1
    assert len(warnings) == 1


def test_a_live_relay_goes_on_in_the_journal_by_which_another_process_replaced_its_own(
    folder: Path,
) -> None:
    with Journal(folder, pytest.fail) as journal:
        run = journal.begin(info())
        for key in "abc":
            run.put(node(key), 0)
        _change(folder, "pragma user_version = -1")
        warnings: list[str] = []
        with Journal(folder, warnings.append) as other:
            assert saved(warnings, folder) == 3
            journal.database.checkpoint()
            run.put(node("d"), 0)
            assert history.records(other, run.number).keys() == set("abcd")
            assert other.adopt(run.number) is None
            assert drain(run) == list("abcd")
            assert history.past_run(other, run.number).delivery == {"airflow": {"delivered": 4}}


FINDER = """
import sys
from pathlib import Path
from support.scripts import race, start
from support.journals import node
from support.scripts import race, start
from support.journals import info
from dbt_relay.sinks import Journal

me, folder = sys.argv[1], Path(sys.argv[2])
warnings = []
print("ready", flush=True)
sys.stdin.readline()
with Journal(folder, warnings.append) as journal:
    run = journal.begin(info())
    for number in range(20):
        run.put(node(f"{me}.{number}"), 0)
    assert journal.trouble is None, journal.trouble
print(len(warnings))
"""


def test_only_one_of_several_processes_sets_a_damaged_journal_aside(folder: Path) -> None:
    (folder / "journal.db").write_bytes(b"dear diary\n" * 999)
    (folder / "claims").mkdir()
    finders = [start(FINDER, me, folder) for me in range(4)]
    assert sorted(race(finders)) == ["0\n", "0\n", "0\n", "1\n"]
    assert len(list(folder.glob("journal.db.damaged-*"))) == 1
    with Journal(folder, pytest.fail) as journal:
        runs = history.runs(journal)
        found = {key for run in runs for key in history.records(journal, run.number)}
    assert found == {f"{me}.{number}" for me in range(4) for number in range(20)}


@pytest.mark.parametrize(("number", "words"), [(1, "1 record"), (2, "2 records")])
class TestCounts:
    """What is said of one record, and of two."""

    def test_that_were_saved(self, number: int, words: str, folder: Path) -> None:
        with Journal(folder) as journal:
            run = journal.begin(info())
            for n in range(number):
                run.put(node(f"model.a.{n}"), 0)
            run.close()
        with closing(sqlite3.connect(folder / "journal.db")) as db:
            indexes = "select rootpage from sqlite_master where type = 'index'"
            pages = [page for (page,) in db.execute(indexes)]
        with (folder / "journal.db").open("r+b") as file:
            for page in pages:
                file.seek((page - 1) * PAGE)
                file.write(bytes(PAGE))
        assert take_up(folder).warnings[0].endswith(f": saved {words} from it")

    def test_of_killed_runs_that_are_gone(self, number: int, words: str, folder: Path) -> None:
        with Journal(folder / "alive") as journal:
            run = journal.begin(info())
            for n in range(number):
                run.put(node(f"model.a.{n}"), 0)
            journal.database.checkpoint()
            dead = copy_of_disk(folder / "alive", folder / "dead")
        _change(dead, "delete from run")
        (said,) = take_up(dead).warnings
        assert said.startswith(f"lost {words} of killed runs: ")


def _change(folder: Path, statement: str) -> None:
    db = sqlite3.connect(folder / "journal.db", isolation_level=None)
    try:
        db.execute(statement)
    finally:
        db.close()
