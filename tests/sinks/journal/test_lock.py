"""A lock belongs to one process at a time, and the kernel frees it when that process dies."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest
from support.scripts import race, start

from dbt_relay.sinks.journal.lock import LOCK_WAIT, RunLock

if TYPE_CHECKING:
    from pathlib import Path

HOLDER = """
import sys
from pathlib import Path
from dbt_relay.sinks.journal.lock import RunLock

lock = RunLock.take(Path(sys.argv[1]))
lock.set_committed(42)
print("taken", flush=True)
sys.stdin.readline()
lock.release()
"""
CONTENDER = """
import sys
from pathlib import Path
from dbt_relay.sinks.journal.lock import RunLock

path, tally = map(Path, sys.argv[1:])
print("ready", flush=True)
sys.stdin.readline()
for _ in range(40):
    lock = RunLock.take(path, within=30)
    assert lock is not None
    assert lock.committed() == 0, "this is the file of an earlier owner"
    lock.set_committed(1)
    tally.write_text(str(int(tally.read_text()) + 1))
    lock.release()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def test_only_one_owner_at_a_time(path: Path) -> None:
    first = RunLock.take(path)
    assert first is not None
    assert RunLock.take(path) is None
    assert RunLock.is_taken(path)
    first.release()
    assert not RunLock.is_taken(path)
    assert not path.exists(), "release deletes the file"
    second = RunLock.take(path)
    assert second is not None
    second.release()


def test_taking_it_waits_up_to_the_given_time(path: Path) -> None:
    first = RunLock.take(path)
    assert first is not None
    started = time.monotonic()
    assert RunLock.take(path, within=0.05) is None
    assert time.monotonic() - started >= 0.05
    threading.Timer(0.05, first.release).start()
    second = RunLock.take(path, within=20)
    assert second is not None
    second.release()


def test_asking_about_it_does_not_take_it(path: Path) -> None:
    """While another thread asks again and again, the lock can be taken."""
    path.touch()
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            RunLock.is_taken(path)
            stop.wait(0.002)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(50):
            lock = RunLock.take(path, LOCK_WAIT)
            assert lock is not None
            lock.release()
            path.touch()
    finally:
        stop.set()
        asking.join()


def test_a_path_that_cannot_be_a_lock(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        RunLock.take(tmp_path / "nowhere" / "lock")
    with pytest.raises(IsADirectoryError):
        RunLock.take(tmp_path)
    assert not RunLock.is_taken(tmp_path / "nowhere")


def test_it_holds_the_last_count(path: Path) -> None:
    lock = RunLock.take(path)
    assert lock is not None
    assert lock.committed() == 0
    for number in (1, 123_456_789, 7):
        lock.set_committed(number)
        assert lock.committed() == number
    lock.release()
    for content in (b"", b"no number", b"\xff\xfe"):
        path.write_bytes(content)
        lock = RunLock.take(path)
        assert lock is not None
        assert lock.committed() == 0
        lock.release()


def test_the_next_owner_reads_the_count_of_a_killed_one(path: Path) -> None:
    holder = start(HOLDER, path)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "taken\n"
    assert RunLock.take(path) is None
    assert RunLock.is_taken(path)
    holder.kill()
    holder.communicate()
    assert not RunLock.is_taken(path)
    lock = RunLock.take(path)
    assert lock is not None, "the kernel has freed the lock"
    assert lock.committed() == 42
    lock.release()


def test_a_child_process_does_not_inherit_it(path: Path) -> None:
    """dbt may outlive the relay, and must not hold its lock."""
    lock = RunLock.take(path)
    assert lock is not None
    assert not os.get_inheritable(lock._fd)
    lock.release()


def test_contenders_get_it_one_after_another(path: Path, tmp_path: Path) -> None:
    """Each owner deletes the file, so a contender may open a file that is about to be deleted."""
    tally = tmp_path / "tally"
    tally.write_text("0")
    contenders = [start(CONTENDER, path, tally) for _ in range(3)]
    race(contenders)
    assert tally.read_text() == "120"
