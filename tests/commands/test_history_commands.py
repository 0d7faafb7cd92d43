"""Which runs `stats` knows, however they ended; whole commands as processes."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from support.command import Shell, ended
from support.logs import log
from support.timing import wait_until

from dbt_relay.sinks.ledger.file import FILE

if TYPE_CHECKING:
    from pathlib import Path

DEBUG = "1.11.16/build_ok_debug"
NODES = 28


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "dbt.log").write_bytes(log(DEBUG))
    return Shell(tmp_path)


def known(shell: Shell) -> list[tuple[str, int]]:
    """The state of each run in the ledger, and how many nodes it ran."""
    if not (shell.state / FILE).exists():
        return []
    with closing(sqlite3.connect(shell.state / FILE)) as db:
        return db.execute("select state, nodes from run order by id").fetchall()


def stats(shell: Shell) -> dict[str, Any]:
    done = shell("stats", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_a_run_is_in_the_ledger_when_its_relay_has_ended(shell: Shell) -> None:
    done = shell("run", "--", "cat", "dbt.log")
    assert done.returncode == 0, done.stderr
    assert known(shell) == [("finished", NODES)]
    assert stats(shell)["runs"] == 1


def test_the_journal_forgets_runs_and_the_ledger_does_not(shell: Shell) -> None:
    for _ in range(3):
        shell("run", "--keep-runs", "1", "--", "cat", "dbt.log")
    assert len(shell("runs", "--json").stdout.splitlines()) == 1
    assert stats(shell)["runs"] == 3


def test_no_days_keep_nothing(shell: Shell) -> None:
    shell("run", "--", "cat", "dbt.log")
    shell("run", "--keep-stats", "0", "--", "cat", "dbt.log")
    assert known(shell) == []


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_relay_that_has_no_time_leaves_its_run_to_the_next(
    shell: Shell, how: signal.Signals
) -> None:
    script = "cat dbt.log; exec sleep 60"
    process = shell.start("run", "--", "sh", "-c", script)
    wait_until(lambda: shell("runs", "--json").stdout.count('"success"') == 1)
    wait_until(lambda: len(shell("show", "--json").stdout.splitlines()) > NODES)
    process.send_signal(how)
    ended(process)
    assert known(shell) == []
    assert stats(shell)["runs"] == 1
    assert known(shell) == [("died", NODES)]
    shell("run", "--", "cat", "dbt.log")
    assert stats(shell)["runs"] == 2


def test_a_log_that_is_replayed_twice_counts_once(shell: Shell) -> None:
    for _ in range(2):
        assert shell("replay", "dbt.log").returncode == 0
    assert stats(shell)["runs"] == 1


def test_a_ledger_that_cannot_be_written_changes_no_exit_code(shell: Shell) -> None:
    shell("run", "--", "cat", "dbt.log")
    (shell.state / FILE).unlink()
    (shell.state / FILE).mkdir()
    done = shell("run", "--", "cat", "dbt.log")
    assert done.returncode == 0
    assert "this run is not yet in the statistics of `dbt-relay stats`" in done.stdout
    done = shell("stats")
    assert done.returncode == 64
    assert f"{FILE} in it is not a regular file" in done.stderr
