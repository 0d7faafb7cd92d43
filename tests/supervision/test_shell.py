"""A command of the user's in a shell, which gets bytes and has a bounded time."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest
from support.timing import PATIENCE, wait_until

from dbt_relay.cli.process.shell import trouble_with

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Ran:
    """A command that has ended: its output, and what went wrong."""

    def __init__(
        self,
        command: str,
        given: bytes = b"",
        seconds: float = PATIENCE,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        taken: list[bytes] = []
        self.trouble = trouble_with(
            command,
            given,
            env=dict(os.environ),
            seconds=seconds,
            take=taken.append,
            is_stopped=is_stopped,
        )
        self.output = b"".join(taken)


def is_gone(pid_file: Path) -> bool:
    """Whether the process whose id is in the file has ended."""
    try:
        os.kill(int(pid_file.read_text()), 0)
    except ProcessLookupError:
        return True
    return False


def test_it_reads_all_that_it_is_given_and_says_what_it_prints() -> None:
    given = os.urandom(1 << 20).hex().encode()
    ran = Ran("wc -c | tr -d ' '; echo wrong >&2", given)
    assert (ran.trouble, ran.output) == (None, b"2097152\nwrong\n")


def test_it_needs_not_read() -> None:
    assert Ran("exec <&-; echo done", b"x" * (1 << 20)).output == b"done\n"


def test_all_that_it_prints_at_its_end_is_taken() -> None:
    assert len(Ran("head -c 60000 /dev/zero").output) == 60000
    assert Ran("head -c 3000000 /dev/zero | tr '\\0' x").output == b"x" * 3_000_000


@pytest.mark.parametrize(
    ("command", "trouble"),
    [
        ("exit 3", "ended with exit code 3"),
        ("kill -TERM $$", "was killed by SIGTERM"),
        ("no-such-program-here", "ended with exit code 127"),
    ],
)
def test_a_bad_end_is_told(command: str, trouble: str) -> None:
    assert Ran(command).trouble == trouble


def test_without_a_shell_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert Ran("true").trouble == "could not be started: No such file or directory"


@pytest.mark.parametrize("output", ["", "yes & ", "exec >&- 2>&-; "])
def test_after_its_time_it_is_killed_with_its_group(tmp_path: Path, output: str) -> None:
    pid = tmp_path / "pid"
    began = time.monotonic()
    ran = Ran(f"{output}sleep 600 & echo $! > {pid}; wait", seconds=0.3)
    assert ran.trouble == "was killed, because it took longer than 0.3 s"
    assert time.monotonic() - began < PATIENCE
    wait_until(lambda: is_gone(pid), "the end of its child")


def test_a_stop_kills_it_with_its_group(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    ran = Ran(
        f"sleep 600 & echo $! > {pid}.new; mv {pid}.new {pid}; wait",
        is_stopped=pid.exists,
    )
    assert ran.trouble == "was killed, because the relay was told to stop"
    wait_until(lambda: is_gone(pid), "the end of its child")


def test_what_it_leaves_in_the_background_goes_on(tmp_path: Path) -> None:
    go, done = tmp_path / "go", tmp_path / "done"
    waits = f"while ! test -e {go}; do sleep 0.02; done; touch {done}"
    ran = Ran(f"({waits}) & echo begun")
    assert (ran.trouble, ran.output) == (None, b"begun\n")
    go.touch()
    wait_until(done.exists, "the end of the process in the background")
