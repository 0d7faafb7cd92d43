"""A real dbt with two long queries, stopped and killed."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from support.running import Running, cpu_time, end_of, wait_for_words
from support.timing import wait_until

from real_dbt.project import BIN, Project

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

SLOW = ("run", "--select", "tag:slow", "--vars", "slow: true")
NODES = {"model.jaffle.slow_one", "model.jaffle.slow_two"}


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path, env={"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"})
    yield running
    left = running.close()
    assert not left, f"processes left behind: {left}"


def pid_of_dbt(running: Running) -> int:
    (pid,) = (
        pid
        for pid, command in running.processes().items()
        if command.split(" ")[0].endswith("python") and "/dbt " in command
    )
    return pid


def start(running: Running, folder: Path, *command: str) -> subprocess.Popen[bytes]:
    """The relay around a dbt whose two queries are running."""
    project = Project.parsed(folder)
    relay = running.start(running.command([*command, *SLOW]), cwd=project.root)
    wait_for_words(relay, b"START sql", 2)
    # A query that is cancelled before DuckDB has begun with it runs on; dbt would wait for it.
    dbt = pid_of_dbt(running)
    before = cpu_time(dbt)
    wait_until(lambda: cpu_time(dbt) > before + 1, "a query at work")
    return relay


@pytest.mark.parametrize(
    "command",
    [["dbt"], ["bash", "-c", 'dbt "$@"; exit $?', "bash"]],
    ids=["dbt", "behind a shell"],
)
def test_sigterm_cancels_the_queries(running: Running, tmp_path: Path, command: list[str]) -> None:
    relay = start(running, tmp_path, *command)
    relay.terminate()
    code, out, err = end_of(relay, patience=30)
    assert code == 2, out + err
    assert not running.left()
    assert "CANCEL query model.jaffle.slow_one" in out
    assert "Traceback" not in err
    assert running.nodes().keys() == NODES
    for record in running.nodes().values():
        assert record["outcome"] == "interrupted"
        assert record["started_at"] < record["finished_at"]
    run = running.last()
    assert (run["state"], run["exit_code"]) == ("finished", 2)
    assert set(run["failed"]) == NODES


def test_sigkill_of_dbt(running: Running, tmp_path: Path) -> None:
    relay = start(running, tmp_path, "dbt")
    os.kill(pid_of_dbt(running), signal.SIGKILL)
    code, _, _ = end_of(relay, patience=30)
    assert code == 137
    assert running.nodes().keys() == NODES
    for record in running.nodes().values():
        assert (record["outcome"], record["artificial"]) == ("interrupted", True)
        assert "killed by SIGKILL" in record["message"]
    assert (running.last()["state"], running.last()["signal"]) == ("died", "SIGKILL")


def test_sigkill_of_the_relay_leaves_no_dbt(running: Running, tmp_path: Path) -> None:
    relay = start(running, tmp_path, "bash", "-c", 'dbt "$@"; exit $?', "bash")
    relay.kill()
    relay.wait(5)
    assert not running.left()
