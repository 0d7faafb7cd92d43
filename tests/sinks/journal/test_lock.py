"""A lock is its process's: nobody else gets it, and nobody has to wait for the dead."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest
from support.journal_disk import outputs, start

from dbt_relay.sinks.journal.lock import GLANCE, RunLock

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
    assert lock.committed() == 0, "the file of an owner before"
    lock.set_committed(1)
    tally.write_text(str(int(tally.read_text()) + 1))
    lock.release()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def test_only_one_has_it(path: Path) -> None:
    first = RunLock.take(path)
    assert first is not None
    assert RunLock.take(path) is None
    assert RunLock.is_taken(path)
    first.release()
    assert not RunLock.is_taken(path)
    assert not path.exists(), "the run is over"
    second = RunLock.take(path)
    assert second is not None
    second.release()


def test_another_waits_as_long_as_it_said(path: Path) -> None:
    first = RunLock.take(path)
    assert first is not None
    started = time.monotonic()
    assert RunLock.take(path, within=0.05) is None
    assert time.monotonic() - started >= 0.05
    threading.Timer(0.05, first.release).start()
    second = RunLock.take(path, within=20)
    assert second is not None
    second.release()


def test_to_ask_about_it_is_not_to_take_it(path: Path) -> None:
    """While another asks again and again, the lock can be had."""
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
            lock = RunLock.take(path, GLANCE)
            assert lock is not None
            lock.release()
            path.touch()
    finally:
        stop.set()
        asking.join()


def test_where_none_can_be(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        RunLock.take(tmp_path / "nowhere" / "lock")
    with pytest.raises(IsADirectoryError):
        RunLock.take(tmp_path)
    assert not RunLock.is_taken(tmp_path / "nowhere")


def test_the_number_that_was_noted_last(path: Path) -> None:
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


def test_the_dead_leave_it_to_the_next_with_what_they_noted(path: Path) -> None:
    holder = start(HOLDER, path)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "taken\n"
    assert RunLock.take(path) is None
    assert RunLock.is_taken(path)
    holder.kill()
    holder.communicate()
    assert not RunLock.is_taken(path)
    lock = RunLock.take(path)
    assert lock is not None, "nobody has to wait for a time-out"
    assert lock.committed() == 42
    lock.release()


def test_a_child_of_its_process_does_not_keep_it(path: Path) -> None:
    """dbt may outlive the relay."""
    lock = RunLock.take(path)
    assert lock is not None
    assert not os.get_inheritable(lock._fd)
    lock.release()


def test_many_that_want_it_have_it_one_after_the_other(path: Path, tmp_path: Path) -> None:
    """The owner removes the file each time, so some open one that is about to go."""
    tally = tmp_path / "tally"
    tally.write_text("0")
    contenders = [start(CONTENDER, path, tally) for _ in range(3)]
    for contender in contenders:
        assert contender.stdout is not None
        assert contender.stdout.readline() == "ready\n"
    for contender in contenders:
        assert contender.stdin is not None
        contender.stdin.write("go\n")
        contender.stdin.flush()
    outputs(contenders)
    assert tally.read_text() == "120"
