"""The relay is told to stop."""

from __future__ import annotations

import os
import pty
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.running import Running, end_of, in_flight, kill_group, wait_until_read
from support.timing import PATIENCE

HERE = Path(__file__).parent
FORWARDER = (sys.executable, str(HERE / "forwarder.py"))
ON_TERMINAL = (sys.executable, str(HERE / "on_terminal.py"))
NODES = ("model.shop.orders", "model.shop.customers")
WRAPPED = ("bash", "-c", '"$@"; exit $?', "wrapper")
"""A shell that waits for the command, so that dbt is a grandchild."""


def as_dbt(running: Running, *options: str) -> list[str]:
    """A child that ends half a second after its first SIGINT with dbt's code for that."""
    return running.echo_of(
        in_flight(*NODES), "--until", "SIGINT", "--linger", "0.5", "--exit", "2", *options
    )


def assert_nodes_were_published_as_interrupted(running: Running) -> None:
    assert running.nodes().keys() == set(NODES)
    for record in running.nodes().values():
        assert (record["outcome"], record["status"]) == ("interrupted", "interrupted")
        assert record["artificial"] is True


@pytest.mark.parametrize("signum", ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"])
def test_a_stop_signal_becomes_one_sigint(running: Running, signum: str) -> None:
    relay = running.start(running.command(as_dbt(running)))
    running.wait_for("ready")
    relay.send_signal(signal.Signals[signum])
    code, _, err = end_of(relay)
    assert (code, err) == (2, "")
    assert running.signals() == ["SIGINT"]
    assert running.heard()[-1] == "end"
    assert_nodes_were_published_as_interrupted(running)


def test_a_child_that_ignores_sigint_is_killed_with_its_group_after_grace(running: Running) -> None:
    child = running.echo_of(in_flight(*NODES), "--until", "SIGUSR2")
    relay = running.start(running.command([*WRAPPED, *child], "--grace", "1"))
    running.wait_for("ready")
    relay.terminate()
    running.wait_for("SIGINT")
    noticed = time.monotonic()
    code, _, _ = end_of(relay)
    assert time.monotonic() - noticed > 0.5
    assert code == 137
    assert running.signals() == ["SIGINT"]
    assert not running.left()
    assert_nodes_were_published_as_interrupted(running)
    assert running.last()["signal"] == "SIGKILL"


def test_a_second_signal_ends_it_at_once(running: Running) -> None:
    child = running.echo_of(in_flight(*NODES), "--until", "SIGUSR2")
    relay = running.start(running.command(child, "--grace", "600"))
    running.wait_for("ready")
    relay.terminate()
    running.wait_for("SIGINT")
    assert relay.poll() is None
    relay.terminate()
    code, _, _ = end_of(relay, patience=5)
    assert code == 137
    assert running.signals() == ["SIGINT"]
    assert_nodes_were_published_as_interrupted(running)


@pytest.mark.parametrize("merged", [False, True], ids=["stdout", "stdout and stderr"])
def test_nodes_in_flight_are_published_though_nobody_reads_any_more(
    running: Running, merged: bool
) -> None:
    """Airflow closes the pipe of a task that timed out 60 ms after its SIGTERM."""
    words = "cancelled\n" * 1000
    child = as_dbt(running, "--last-words", words)
    errors = subprocess.STDOUT if merged else subprocess.PIPE
    relay = running.start(running.command(child), stderr=errors)
    running.wait_for("ready")
    assert relay.stdout is not None
    relay.stdout.close()
    relay.terminate()
    assert relay.wait(PATIENCE) == 2
    assert relay.stderr is None or relay.stderr.read().decode() == f"{words}\n"
    assert "unheard" not in " ".join(running.heard())
    assert_nodes_were_published_as_interrupted(running)
    assert running.last()["nodes"] == {"interrupted": 2}


@pytest.mark.parametrize("wrapped", [False, True], ids=["exec", "bash waits"])
def test_the_bash_operators_killpg(running: Running, wrapped: bool) -> None:
    script = shlex.join(running.command(as_dbt(running)))
    script += "; exit $?" if wrapped else ""
    bash = running.start(["bash", "-c", script], start_new_session=True)
    running.wait_for("ready")
    kill_group(bash)
    assert bash.wait(PATIENCE) == (-signal.SIGTERM if wrapped else 2)
    assert not running.left()
    assert running.signals() == ["SIGINT"]
    assert_nodes_were_published_as_interrupted(running)
    assert running.last()["exit_code"] == 2


def test_ctrl_c_in_a_terminal_reaches_the_child_once(running: Running) -> None:
    keyboard, terminal = pty.openpty()
    try:
        relay = running.start(
            [*ON_TERMINAL, *running.command(as_dbt(running))],
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
        )
        os.close(terminal)
        running.wait_for("ready")
        os.write(keyboard, b"\x03")
        assert relay.wait(PATIENCE) == 2
    finally:
        os.close(keyboard)
    assert running.signals() == ["SIGINT"]
    assert_nodes_were_published_as_interrupted(running)


@pytest.mark.parametrize("wrapper", [WRAPPED, FORWARDER], ids=["shell", "forwarder"])
def test_dbt_behind_a_wrapper_gets_one_sigint(running: Running, wrapper: tuple[str, ...]) -> None:
    relay = running.start(running.command([*wrapper, *as_dbt(running)]))
    running.wait_for("ready")
    wait_until_read(relay)
    relay.terminate()
    code, _, _ = end_of(relay)
    assert code == 2
    assert running.signals() == ["SIGINT"]


def test_a_pid_that_is_anywhere_else_is_left_alone(running: Running) -> None:
    """The log of a dbt in a container has the pid that it has in there."""
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        log = in_flight(*NODES).replace(b'"pid": 1,', b'"pid": %d,' % bystander.pid)
        child = running.echo_of(log, "--until", "SIGINT", "--exit", "2")
        relay = running.start(running.command(child))
        running.wait_for("ready")
        wait_until_read(relay)
        relay.terminate()
        assert end_of(relay)[0] == 2
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


@pytest.mark.parametrize("pid", ["-1", "0", "1", "1099511627776", "1.5", "true", '"7"', "[]"])
def test_a_pid_that_no_process_has_stops_dbt_all_the_same(running: Running, pid: str) -> None:
    log = in_flight(*NODES).replace(b'"pid": 1,', f'"pid": {pid},'.encode())
    child = running.echo_of(log, "--until", "SIGINT", "--exit", "2")
    relay = running.start(running.command(child))
    running.wait_for("ready")
    wait_until_read(relay)
    relay.terminate()
    assert end_of(relay)[0] == 2
    assert running.signals() == ["SIGINT"]


def test_a_wrapper_that_dies_of_sigint_does_not_shorten_grace(running: Running) -> None:
    """`dbt & wait` in a script: the shell is gone at once while dbt cancels its queries."""
    child = running.echo("--until", "SIGINT", "--linger", "3", "--exit", "2")
    script = 'trap "exit 2" INT; "$@" & wait'
    relay = running.start(running.command(["bash", "-c", script, "wrapper", *child]))
    running.wait_for("ready")
    relay.terminate()
    end_of(relay)
    assert running.heard()[-1] == "end"


def test_a_child_that_would_inherit_sigint_ignored_gets_it(running: Running) -> None:
    """As in a background job of a shell; a Python that inherits it so never is interrupted."""
    background = ["bash", "-c", 'trap "" INT; exec "$@"', "background"]
    relay = running.start([*background, *running.command(as_dbt(running))])
    running.wait_for("ready")
    relay.terminate()
    code, _, _ = end_of(relay)
    assert code == 2
    assert "inherited default" in running.heard()
    assert running.signals() == ["SIGINT"]


def test_under_nohup_a_terminal_that_hangs_up_stops_nothing(running: Running) -> None:
    nohup = ["bash", "-c", 'trap "" HUP; exec "$@"', "nohup"]
    relay = running.start([*nohup, *running.command(as_dbt(running))])
    running.wait_for("ready")
    relay.send_signal(signal.SIGHUP)
    for name in ("SIGUSR1", "SIGUSR2"):
        relay.send_signal(signal.Signals[name])
        running.wait_for(name)
    assert running.signals() == ["SIGUSR1", "SIGUSR2"]
    relay.terminate()
    assert end_of(relay)[0] == 2
    assert running.signals() == ["SIGUSR1", "SIGUSR2", "SIGINT"]


def test_the_next_dbt_of_a_stopped_script_is_interrupted_too(running: Running) -> None:
    child = shlex.join(as_dbt(running))
    relay = running.start(running.command(["bash", "-c", f"{child}; {child}"]))
    running.wait_for("ready")
    wait_until_read(relay)
    relay.terminate()
    code, _, _ = end_of(relay)
    assert code == 2
    pids = [entry for entry in running.heard() if entry.startswith("pid")]
    assert len(set(pids)) == 2
    assert running.signals() == ["SIGINT", "SIGINT"]


@pytest.mark.parametrize("signum", ["SIGUSR1", "SIGUSR2"])
def test_user_signals_are_passed_on(running: Running, signum: str) -> None:
    child = running.echo("--until", signum, "--linger", "0.2")
    relay = running.start(running.command(child))
    running.wait_for("ready")
    relay.send_signal(signal.Signals[signum])
    code, _, _ = end_of(relay)
    assert code == 0
    assert running.signals() == [signum]


@pytest.mark.parametrize("after_ms", range(0, 240, 30))
def test_killpg_at_any_moment_of_the_start(running: Running, after_ms: int) -> None:
    """Nothing is left behind, and what had started is not taken for stopped twice."""
    child = running.echo("--until", "SIGINT", "--exit", "2")
    # An interrupt can be swallowed by an interpreter that is starting up: then it gets killed.
    script = shlex.join(running.command(child, "--grace", "2")) + "; exit $?"
    bash = running.start(["bash", "-c", script], start_new_session=True)
    time.sleep(after_ms / 1000)
    kill_group(bash)
    bash.wait(PATIENCE)
    assert not running.left()
    assert running.signals() in ([], ["SIGINT"])
