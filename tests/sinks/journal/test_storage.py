"""No room, no permission, no folder, no lock: records are delivered from memory, with a warning."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.journal_disk import FAST, RECORDS, drain, relay
from support.journals import info, node
from support.scripts import outputs, start

from dbt_relay.sinks import Journal
from dbt_relay.sinks.journal import history
from dbt_relay.sinks.journal.storage import connect

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=FAST) as folder:
        yield Path(folder)


def test_with_room_every_record_is_in_the_file(folder: Path) -> None:
    assert relay(folder) == (0, "")


def test_a_journal_that_cannot_grow(folder: Path) -> None:
    def fill(journal: Journal) -> None:
        (pages,) = journal.database.rows("pragma page_count")[0]
        journal.database.rows(f"pragma max_page_count = {pages + 5}")

    only_in_memory, warning = relay(folder, fill)
    assert 0 < only_in_memory < 3 * RECORDS // 4
    assert "database or disk is full" in warning
    with Journal(folder, pytest.fail) as journal:
        (past,) = history.runs(journal)
        kept = history.records(journal, past.number)
        assert len(kept) == RECORDS - only_in_memory, "the file lacks a committed record"
        run = journal.adopt(past.number)
        assert run is not None
        assert {*drain(run)} <= {*kept}


def test_a_record_on_its_way_when_the_disk_is_full_is_settled_in_memory(folder: Path) -> None:
    with Journal(folder, lambda _: None) as journal:
        run = journal.begin(info(("airflow", "jsonl")))
        for key in "abcd":
            run.put(node(key), 0)
        first, second = run.queue("airflow").lease(0), run.queue("airflow").lease(0)
        assert first is not None
        assert second is not None
        run.queue("airflow").acknowledge(first)
        journal.database.rows(
            f"pragma max_page_count = {journal.database.rows('pragma page_count')[0][0]}"
        )
        for number in range(20):
            run.put(node(f"n{number}", message="x" * 3000), 0)
        assert journal.trouble is not None
        run.put(node("b", 2), 0)
        run.queue("airflow").acknowledge(second)
        assert run.queue("airflow").account().delivered == {"a"}
        assert sorted(drain(run)) == sorted("bcd") + sorted(f"n{n}" for n in range(20))
        assert len(drain(run, "jsonl")) == 24


LIMITS = (0, 1, 5_000, 40_000, 100_000, 200_000)
LIMITED = """
import resource, signal, sys
from pathlib import Path
from support.journal_disk import relay

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
for limit in sys.argv[2:]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), most))
    print(*relay(Path(sys.argv[1]) / limit), sep="|")
"""


def test_files_that_cannot_grow(folder: Path) -> None:
    """Like a full disk or a quota: the write fails part of the way."""
    (said,) = outputs([start(LIMITED, folder, *LIMITS)])
    for limit, line in zip(LIMITS, said.splitlines(), strict=True):
        only_in_memory, warning = line.split("|")
        assert 0 < int(only_in_memory) <= RECORDS
        assert int(only_in_memory) < RECORDS or limit < 100_000
        assert "cannot be used" in warning
        with Journal(folder / str(limit), pytest.fail) as journal:  # there is room again
            kept = sum(len(history.records(journal, past.number)) for past in history.runs(journal))
            assert kept == RECORDS - int(only_in_memory)


FULL = """
import sys
from pathlib import Path
from support.journal_disk import relay

def fill(_):
    with open(Path(sys.argv[1]) / "ballast", "wb", buffering=0) as ballast:
        try:
            while ballast.write(bytes(4096)):
                pass
        except OSError:
            pass

print(*relay(Path(sys.argv[1]) / "state", fill), sep="|")
"""


def test_a_full_disk(folder: Path) -> None:
    """A real one, on a machine that can mount it. Elsewhere the tests above stand in."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small tmpfs; RLIMIT_FSIZE and max_page_count stand in")
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"the kernel lets root mount no tmpfs here: {done.stderr.strip()}")
    try:
        (said,) = outputs([start(FULL, folder)])
        only_in_memory, warning = said.strip().split("|")
        assert 0 < int(only_in_memory) < RECORDS
        assert "disk" in warning
        with Journal(folder / "state", lambda _: None) as journal:  # it is still full
            (past,) = history.runs(journal)
            assert len(history.records(journal, past.number)) == RECORDS - int(only_in_memory)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


UNPRIVILEGED = """
import os, sys
from pathlib import Path
from support.journal_disk import relay

if os.geteuid() == 0:
    os.seteuid(65534)
for state in sys.argv[1:]:
    print(*relay(Path(state)), sep="|")
"""


def test_files_without_write_permission(folder: Path) -> None:
    """An empty folder, a folder with a journal, the journal's file, the folder of locks."""
    folder.chmod(0o755)
    states = [folder / what for what in ("empty", "journal", "file", "claims")]
    for state in states:
        state.mkdir()
        if state.name != "empty":
            Journal(state).close()
        for path in (state, *state.iterdir()):
            path.chmod(0o777 if path.is_dir() else 0o666)
        shut = {"file": state / "journal.db", "claims": state / "claims"}.get(state.name, state)
        shut.chmod(0o444 if shut.is_file() else 0o555)
    (said,) = outputs([start(UNPRIVILEGED, *states)])
    for state, line in zip(states, said.splitlines(), strict=True):
        only_in_memory, warning = line.split("|")
        assert int(only_in_memory) == RECORDS, state.name
        assert f"the journal in {state} cannot be used" in warning
        assert "DBT_RELAY_STATE_DIR" in warning


def test_a_state_folder_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    only_in_memory, warning = relay(tmp_path / "file" / "state")
    assert only_in_memory == RECORDS
    assert "Not a directory" in warning


@pytest.mark.parametrize("name", ["claims", "opening"])
def test_something_else_in_the_place_of_the_locks(folder: Path, name: str) -> None:
    if name == "claims":
        (folder / name).touch()
    else:
        (folder / name).mkdir()
    assert relay(folder)[0] == RECORDS


def test_no_home() -> None:
    """Without a state folder the journal is in memory, without a warning."""
    warnings: list[str] = []
    with Journal(None, warnings.append) as journal:
        run = journal.begin(info())
        run.put(node("a"), 0)
        assert drain(run) == ["a"]
        assert (journal.file, journal.trouble, journal.only_in_memory) == (None, None, 1)
    assert warnings == []


@pytest.mark.parametrize("since", ["before", "meanwhile"])
def test_another_process_locks_the_file_for_too_long(
    folder: Path, since: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dbt_relay.sinks.journal.storage.BUSY", 0.05)
    connect(folder / "journal.db").close()
    locker = sqlite3.connect(folder / "journal.db", isolation_level=None)
    try:
        if since == "before":
            locker.execute("begin exclusive")
        only_in_memory, warning = relay(
            folder, lambda _: since == "before" or locker.execute("begin exclusive")
        )
        assert only_in_memory == RECORDS - (RECORDS // 4 if since == "meanwhile" else 0)
        assert "database is locked" in warning
    finally:
        locker.close()


def test_the_journal_waits_for_a_short_lock(folder: Path) -> None:
    connect(folder / "journal.db").close()
    locker = sqlite3.connect(folder / "journal.db", isolation_level=None, check_same_thread=False)

    def lock(_: Journal) -> None:
        locker.execute("begin exclusive")
        threading.Timer(0.1, locker.execute, ["rollback"]).start()

    try:
        assert relay(folder, lock) == (0, "")
    finally:
        locker.close()


def test_a_wrong_call_does_not_replace_the_journal(folder: Path) -> None:
    with Journal(folder, pytest.fail) as journal:
        with pytest.raises(sqlite3.Error):
            journal.database.rows("select ?", ({},))
        assert journal.file is not None


def test_a_new_folder_is_private(tmp_path: Path) -> None:
    relay(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
