"""What dbt's models, its warehouse and Airflow have written, as the commands show it."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest
from support.command import Shell
from support.environment import NAMED_TASK
from support.fake_airflow import FakeAirflow
from support.logs import BEGIN, line

if TYPE_CHECKING:
    from pathlib import Path

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
HOSTILE = (
    "no \x1b[31mred\x1b[0m \x1b]0;title\x07here\n  ::group::folded\n::endgroup::\r  \x9b2Jgone"
    "\x1b]52;c;cm0gLXJm\x1b\\\x08\x08"
)
NAME = "model.shop.a\x1b[2J\n::group::b"
NODE = {"unique_id": NAME, "resource_type": "model", "node_name": "a\x1b[1A", "node_path": "a.sql"}
LOG = BEGIN + line(
    "NodeFinished",
    {
        "node_info": {**NODE, "node_finished_at": "2026-01-02T03:04:06"},
        "run_result": {"status": "error", "message": HOSTILE, "execution_time": 1.0},
    },
)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "dbt.log").write_bytes(LOG)
    return Shell(tmp_path, PYTHONUTF8="1")


def assert_harmless(text: str) -> None:
    assert not CONTROL.search(text), text
    assert "::group::" not in text
    assert "::endgroup::" not in text


def test_the_failures_at_the_end_and_what_the_journal_shows(shell: Shell) -> None:
    done = shell("replay", "dbt.log")
    assert "no red here" in done.stdout
    assert "    : :endgroup::\n" in done.stdout
    assert_harmless(done.stdout + done.stderr)
    for command in (["show"], ["runs"]):
        done = shell(*command)
        assert done.returncode == 0
        assert_harmless(done.stdout + done.stderr)


def test_a_command_in_the_list_of_runs(shell: Shell) -> None:
    script = "print(open('dbt.log').read())\n# \x1b[2J ::group::x\x07"
    shell("run", "--", sys.executable, "-c", script)
    for command in (["show"], ["runs"]):
        said = shell(*command).stdout
        assert "# ::group" not in said
        assert_harmless(said)


def test_a_waiting_task_and_the_note(shell: Shell) -> None:
    with FakeAirflow() as server:
        login = {"DBT_RELAY_AIRFLOW_TOKEN": "op-0", "DBT_RELAY_AIRFLOW_URL": server.url}
        env = {**NAMED_TASK, **login}
        server.states = ["failed"]
        (shell.folder / "dbt").write_text(
            f"#!{sys.executable}\nprint(open('dbt.log').read())\nraise SystemExit(1)\n"
        )
        (shell.folder / "dbt").chmod(0o755)
        shell("run", "--note", "--", "./dbt", "build", **env)
        (note,) = server.notes.values()
        done = shell("wait", "--task-id", "dbt", NAME, **env)
    assert done.returncode == 1
    assert "no red here" in done.stdout
    assert_harmless(done.stdout + done.stderr)
    assert_harmless(note)
    assert "- model.shop.a : :group::b: : :group::folded" in note
