"""Which nodes run now, between the process of a run and those who watch it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from dbt_relay.sinks.journal.running import RunningNodes

if TYPE_CHECKING:
    from pathlib import Path

SINCE = {"model.a.b": "2026-01-02T03:04:05", "test.a.c": "2026-01-02T03:04:06"}


def test_who_asks_is_told(tmp_path: Path) -> None:
    run, watcher = RunningNodes(tmp_path / "lock"), RunningNodes(tmp_path / "lock")
    assert not run.is_asked
    assert watcher.ask() == {}
    assert run.is_asked
    run.tell(SINCE)
    assert watcher.ask() == SINCE
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    watcher.forget()
    assert not run.is_asked
    assert [*tmp_path.iterdir()] == []


def test_an_old_question_and_an_old_answer_are_none(tmp_path: Path) -> None:
    nodes = RunningNodes(tmp_path / "lock")
    nodes.ask()
    nodes.tell(SINCE)
    for path in tmp_path.iterdir():
        os.utime(path, (time.time() - 60, time.time() - 60))
    assert not nodes.is_asked
    assert nodes.ask() == {}


@pytest.mark.parametrize("answer", [b"", b"{", b"7", b'["ab", [1], [1, 2, 3]]'])
def test_an_answer_that_cannot_be_read_is_none(tmp_path: Path, answer: bytes) -> None:
    (tmp_path / "lock.running").write_bytes(answer)
    assert RunningNodes(tmp_path / "lock").ask() == {}


def test_a_folder_that_is_gone_raises_nothing(tmp_path: Path) -> None:
    nodes = RunningNodes(tmp_path / "no" / "lock")
    nodes.tell(SINCE)
    assert nodes.ask() == {}
    nodes.forget()
