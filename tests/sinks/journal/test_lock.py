"""A claim is its process's: nobody else gets it, and nobody has to wait for the dead."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest
from support.journal_disk import outputs, start

from dbt_relay.sinks.journal.lock import GLANCE, Claim

if TYPE_CHECKING:
    from pathlib import Path

HOLDER = """
import sys
from pathlib import Path
from dbt_relay.sinks.journal.lock import Claim

claim = Claim.take(Path(sys.argv[1]))
claim.note(42)
print("taken", flush=True)
sys.stdin.readline()
claim.release()
"""
CONTENDER = """
import sys
from pathlib import Path
from dbt_relay.sinks.journal.lock import Claim

path, tally = map(Path, sys.argv[1:])
print("ready", flush=True)
sys.stdin.readline()
for _ in range(40):
    claim = Claim.take(path, within=30)
    assert claim is not None
    assert claim.noted() == 0, "the file of an owner before"
    claim.note(1)
    tally.write_text(str(int(tally.read_text()) + 1))
    claim.release()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "claim"


def test_only_one_has_it(path: Path) -> None:
    first = Claim.take(path)
    assert first is not None
    assert Claim.take(path) is None
    assert Claim.is_taken(path)
    first.release()
    assert not Claim.is_taken(path)
    assert not path.exists(), "the run is over"
    second = Claim.take(path)
    assert second is not None
    second.release()


def test_another_waits_as_long_as_it_said(path: Path) -> None:
    first = Claim.take(path)
    assert first is not None
    started = time.monotonic()
    assert Claim.take(path, within=0.05) is None
    assert time.monotonic() - started >= 0.05
    threading.Timer(0.05, first.release).start()
    second = Claim.take(path, within=20)
    assert second is not None
    second.release()


def test_to_ask_about_it_is_not_to_take_it(path: Path) -> None:
    """While another asks again and again, the claim can be had."""
    path.touch()
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            Claim.is_taken(path)
            stop.wait(0.002)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(50):
            claim = Claim.take(path, GLANCE)
            assert claim is not None
            claim.release()
            path.touch()
    finally:
        stop.set()
        asking.join()


def test_where_none_can_be(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Claim.take(tmp_path / "nowhere" / "claim")
    with pytest.raises(IsADirectoryError):
        Claim.take(tmp_path)
    assert not Claim.is_taken(tmp_path / "nowhere")


def test_the_number_that_was_noted_last(path: Path) -> None:
    claim = Claim.take(path)
    assert claim is not None
    assert claim.noted() == 0
    for number in (1, 123_456_789, 7):
        claim.note(number)
        assert claim.noted() == number
    claim.release()
    for content in (b"", b"no number", b"\xff\xfe"):
        path.write_bytes(content)
        claim = Claim.take(path)
        assert claim is not None
        assert claim.noted() == 0
        claim.release()


def test_the_dead_leave_it_to_the_next_with_what_they_noted(path: Path) -> None:
    holder = start(HOLDER, path)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "taken\n"
    assert Claim.take(path) is None
    assert Claim.is_taken(path)
    holder.kill()
    holder.communicate()
    assert not Claim.is_taken(path)
    claim = Claim.take(path)
    assert claim is not None, "nobody has to wait for a time-out"
    assert claim.noted() == 42
    claim.release()


def test_a_child_of_its_process_does_not_keep_it(path: Path) -> None:
    """dbt may outlive the relay."""
    claim = Claim.take(path)
    assert claim is not None
    assert not os.get_inheritable(claim._fd)
    claim.release()


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
