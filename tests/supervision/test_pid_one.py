"""The relay as the first process of a container, as in a pod: no init is above it."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest
from support.running import Running, end_of, in_flight
from support.timing import wait_until

NODES = ("model.shop.orders", "model.shop.customers")
CONTAINER = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc")


@pytest.fixture(scope="module", autouse=True)
def namespaces() -> None:
    done = subprocess.run(
        [*CONTAINER, "true"], check=False, capture_output=True, text=True, timeout=10
    )
    if done.returncode:
        pytest.skip(f"the kernel lets this user make no process namespace: {done.stderr.strip()}")


def pid_one(unshare: int) -> int:
    """What runs as PID 1, by its number out here."""
    children = Path(f"/proc/{unshare}/task/{unshare}/children")
    (child,) = wait_until(lambda: children.read_text().split(), "a child of unshare")
    return int(child)


def test_its_signals_and_the_orphans_it_inherits(running: Running) -> None:
    """The kernel gives PID 1 no signal without a handler, and every orphan of the container."""
    dbt = running.echo_of(in_flight(*NODES), "--until", "SIGINT", "--linger", "0.5", "--exit", "2")
    script = 'sh -c "sleep 0.2 & exit"; "$@"; exit $?'
    relay = running.start([*CONTAINER, *running.command(["sh", "-c", script, "sh", *dbt])])
    running.wait_for("ready")
    os.kill(pid_one(relay.pid), signal.SIGTERM)
    code, _, err = end_of(relay)
    assert (code, err) == (2, "")
    assert running.signals() == ["SIGINT"]
    assert running.nodes().keys() == set(NODES)
    assert {record["outcome"] for record in running.nodes().values()} == {"interrupted"}


def test_its_end_ends_all(running: Running) -> None:
    dbt = running.echo_of(in_flight(*NODES), "--until", "SIGUSR2")
    relay = running.start([*CONTAINER, *running.command(dbt)])
    running.wait_for("ready")
    os.kill(pid_one(relay.pid), signal.SIGKILL)
    assert end_of(relay)[0] != 0
    assert not running.left()
