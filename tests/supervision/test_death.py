"""The relay, its child or the child's child is gone."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest
from support.running import Running, cpu_time, end_of, in_flight, wait_until_read

if TYPE_CHECKING:
    from pathlib import Path

NODE = "model.shop.orders"
WRAPPED = ("bash", "-c", '"$@"; exit $?', "wrapper")


@pytest.mark.parametrize("wrapper", [(), WRAPPED], ids=["child", "grandchild"])
def test_a_relay_killed_by_sigkill_leaves_no_dbt_behind(
    running: Running, wrapper: tuple[str, ...]
) -> None:
    echo = running.echo_of(in_flight(NODE), "--until", "SIGUSR2")
    relay = running.start(running.command([*wrapper, *echo]))
    child = int(running.wait_for("pid"))
    running.wait_for("ready")
    wait_until_read(relay)
    assert child in running.processes()
    relay.kill()
    assert relay.wait(5) == -signal.SIGKILL
    assert not running.left()
    assert running.signals() == []


def test_sigkill_of_the_whole_group_of_the_relay_leaves_no_dbt_behind(running: Running) -> None:
    child = running.echo_of(in_flight(NODE), "--until", "SIGUSR2")
    relay = running.start(running.command([*WRAPPED, *child]), start_new_session=True)
    running.wait_for("ready")
    wait_until_read(relay)
    os.killpg(relay.pid, signal.SIGKILL)
    assert relay.wait(5) == -signal.SIGKILL
    assert not running.left()


def test_a_child_killed_by_sigkill(running: Running) -> None:
    child = running.echo_of(in_flight(NODE), "--until", "SIGUSR2")
    relay = running.start(running.command(child))
    pid = int(running.wait_for("pid"))
    running.wait_for("ready")
    os.kill(pid, signal.SIGKILL)
    code, out, _ = end_of(relay)
    assert code == 137
    record = running.nodes()[NODE]
    assert (record["outcome"], record["artificial"]) == ("interrupted", True)
    assert "killed by SIGKILL, often out of memory" in record["message"]
    assert NODE in out
    run = running.last()
    assert (run["state"], run["signal"], run["exit_code"]) == ("died", "SIGKILL", 137)
    assert "SIGKILL" in run["message"]


def test_a_child_that_dies_of_another_signal(running: Running) -> None:
    relay = running.start(running.command(["bash", "-c", "kill -SEGV $$"]))
    code, _, _ = end_of(relay)
    assert code == 128 + signal.SIGSEGV
    assert running.last()["signal"] == "SIGSEGV"


def test_a_grandchild_that_holds_the_pipe_does_not_hold_the_relay(running: Running) -> None:
    relay = running.start(
        running.command(running.echo_of(in_flight(NODE), "--heir", "--exit", "1"))
    )
    heir = int(running.wait_for("heir"))
    code, _, _ = end_of(relay, patience=8)
    assert code == 1
    assert heir in running.processes(), "it did not hold the pipe to the end"
    assert running.nodes()[NODE]["outcome"] == "interrupted"
    os.kill(heir, signal.SIGKILL)


def test_a_stop_while_only_a_grandchild_is_left_ends_it_too(running: Running) -> None:
    relay = running.start(running.command(running.echo("--heir", "--exit", "1")))
    running.wait_for("heir")
    relay.terminate()
    end_of(relay, patience=8)
    assert not running.left()


def test_a_child_that_closes_its_output_and_lives_on(running: Running, tmp_path: Path) -> None:
    go = tmp_path / "go"
    child = running.echo("--close-output", "--until-file", str(go), "--exit", "3")
    relay = running.start(running.command(child))
    running.wait_for("ready")
    before = cpu_time(relay.pid)
    watch_until = time.monotonic() + 0.5
    while time.monotonic() < watch_until:
        assert relay.poll() is None, "took the end of the pipe for the end of the child"
        time.sleep(0.02)
    assert cpu_time(relay.pid) - before < 0.25, "waits in a busy loop"
    go.touch()
    code, _, _ = end_of(relay)
    assert code == 3
    assert running.heard()[-1] == "end"
