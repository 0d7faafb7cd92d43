"""`run --on-failure` and `--on-end`: commands that get the run when it is over."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from support.command import RELAY, ended
from support.environment import AIRFLOW_TASK
from support.logs import line, log
from support.timing import wait_until

if TYPE_CHECKING:
    from support.command import Shell, Typed

LOG = log("1.9.11/example_debug")
FINE = line("MainReportVersion", {"version": "=1.11.16"}, level="info")
KEEP = "cat > told.json"


@pytest.fixture
def dbt(shell: Shell) -> list[str]:
    """A dbt in which one model and one test of 24 nodes fail, and which ends with 1."""
    (shell.folder / "dbt.log").write_bytes(LOG)
    return ["sh", "-c", "cat dbt.log; exit 1"]


def told(shell: Shell) -> dict[str, Any]:
    return json.loads((shell.folder / "told.json").read_text())


def test_a_failed_run_is_told_as_json(shell: Shell, dbt: list[str]) -> None:
    done = shell("run", "--on-failure", KEEP, "--", *dbt)
    assert (done.returncode, done.stderr) == (1, "")
    run = told(shell)
    assert (run["schema"], run["run"], run["state"]) == ("dbt-relay/report@1", 1, "finished")
    assert run["record"]["exit_code"] == 1
    assert run["record"]["nodes"] == {"failure": 2, "skipped": 1, "success": 21}
    assert len(run["nodes"]) == 24
    assert run["causes"][0] == {
        "unique_id": "model.jaffle.broken_on_purpose",
        "skipped": ["model.jaffle.skipped_on_purpose"],
    }
    report = shell("report", "1", "--format", "json").stdout
    assert json.loads(report) == run


def test_the_environment_names_the_run(shell: Shell, dbt: list[str]) -> None:
    command = 'echo "$DBT_RELAY_TITLE; $DBT_RELAY_EXIT_CODE; $DBT_RELAY_STATE_DIR"'
    report = f"{shlex.join(RELAY)} report $DBT_RELAY_RUN --format markdown | head -1"
    state = shell.folder / "elsewhere"
    done = shell("run", "--state-dir", state, "--on-end", command, "--on-end", report, "--", *dbt)
    *_, first, second = done.stdout.splitlines()
    assert first == f"Run 1: exit 1, 2 failed, 1 skipped, 21 succeeded; 1; {state}"
    assert second == "## ❌ dbt: Run 1: exit 1"


def test_a_journal_in_memory_has_no_number(shell: Shell, dbt: list[str]) -> None:
    (shell.folder / "file").touch()
    command = 'echo "[$DBT_RELAY_RUN]"; grep -c "" > lines'
    done = shell("run", "--state-dir", "file/x", "--on-end", command, "--", *dbt)
    assert done.stdout.splitlines()[-1] == "[]"
    assert (shell.folder / "lines").read_text() == "1\n"


def test_a_run_that_succeeds_is_no_failure(shell: Shell, dbt: list[str]) -> None:
    calls = ("--on-failure", "echo failed", "--on-end", "echo over")
    done = shell("run", *calls, "--", "cat", "dbt.log")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "over"
    assert "failed\n" not in done.stdout
    assert shell("run", *calls, "--", *dbt).stdout.splitlines()[-2:] == ["failed", "over"]


def test_a_record_that_is_not_delivered_is_a_failure_if_delivery_is_strict(shell: Shell) -> None:
    (shell.folder / "dbt.log").write_bytes(LOG)
    nobody = {"DBT_RELAY_AIRFLOW_URL": "http://127.0.0.1:1", "DBT_RELAY_AIRFLOW_TOKEN": "t"}
    calls = ("--on-failure", "echo ends with $DBT_RELAY_EXIT_CODE")
    done = shell(
        *("run", "--strict-delivery", "--flush-timeout", "0", *calls, "--", "cat", "dbt.log"),
        **nobody,
        **AIRFLOW_TASK,
    )
    assert done.returncode == 75
    assert done.stdout.splitlines()[-2] == "ends with 75"


def test_dbt_that_a_signal_killed_is_told(shell: Shell, dbt: list[str]) -> None:
    command = ["sh", "-c", "cat dbt.log; kill -9 $$"]
    assert shell("run", "--on-failure", KEEP, "--", *command).returncode == 137
    run = told(shell)
    assert (run["state"], run["record"]["signal"]) == ("died", "SIGKILL")


@pytest.mark.parametrize("event", [b"", FINE], ids=["no event", "no node"])
def test_dbt_that_failed_before_its_first_node_is_told(shell: Shell, event: bytes) -> None:
    (shell.folder / "dbt.log").write_bytes(event)
    done = shell("run", "--on-failure", KEEP, "--", "sh", "-c", "cat dbt.log; exit 2")
    assert done.returncode == 2
    run = told(shell)
    assert (run["nodes"], run["record"]["exit_code"]) == ([], 2)


def test_a_command_that_ran_no_dbt_is_no_run(shell: Shell) -> None:
    assert "over" not in shell("run", "--on-end", "echo over", "--", "true").stdout


def test_the_try_is_told_and_nothing_follows_the_json_summary(shell: Shell, dbt: list[str]) -> None:
    process = shell.start(
        *("run", "--on-failure", f"{KEEP}; echo wrong; exit 9", "--", *dbt),
        stderr=subprocess.STDOUT,
        **{**AIRFLOW_TASK, "AIRFLOW_CTX_TRY_NUMBER": "3"},
    )
    *_, said, trouble, last = ended(process)[0].splitlines()
    assert process.returncode == 1
    assert (said, trouble) == (
        "wrong",
        "relay: the command of --on-failure ended with exit code 9",
    )
    assert json.loads(last)["nodes"]["failure"] == 2
    assert told(shell)["record"]["attempt"] == 3


def test_secrets_stay_secret(shell: Shell, dbt: list[str]) -> None:
    calls = "env\necho $DBT_ENV_SECRET_PASSWORD"
    variables = {
        "DBT_ENV_SECRET_PASSWORD": "hunter2hunter2",
        "DBT_RELAY_AIRFLOW_TOKEN": "let-me-in",
        "DBT_RELAY_AIRFLOW_PASSWORD": "let-me-in-too",
        "DBT_RELAY_ON_FAILURE": calls,
        "DBT_RELAY_ON_END": "true",
    }
    done = shell("run", "--", *dbt, **variables)
    assert done.stdout.splitlines()[-1] == "*****"
    assert "DBT_ENV_SECRET_PASSWORD=*****" in done.stdout
    for hidden in ("hunter2", "let-me-in", "DBT_RELAY_ON_"):
        assert hidden not in done.stdout + done.stderr


def test_dbt_does_not_see_the_commands(shell: Shell) -> None:
    """A relay below this one would call a second time."""
    variables = {"DBT_RELAY_ON_FAILURE": "true", "DBT_RELAY_ON_END": "true"}
    assert "DBT_RELAY_ON_" not in shell("run", "--", "env", **variables).stdout


def test_a_variable_has_a_command_in_each_line(shell: Shell, dbt: list[str]) -> None:
    done = shell("run", "--", *dbt, DBT_RELAY_ON_END="echo one two\n\necho three | cat\n")
    assert done.stdout.splitlines()[-2:] == ["one two", "three"]


def test_its_output_moves_no_cursor_and_makes_no_group(shell: Shell, dbt: list[str]) -> None:
    command = r"printf '\033[2Jred\n::group::x\nand no end'"
    done = shell("run", "--on-end", command, "--", *dbt)
    assert "\x1b[2J" not in done.stdout
    assert done.stdout.endswith("\nand no end\n")
    assert not any(text.startswith("::group::") for text in done.stdout.splitlines())


def test_a_relay_that_is_told_to_stop_runs_none(shell: Shell) -> None:
    (shell.folder / "dbt.log").write_bytes(LOG)
    child = ["sh", "-c", "trap 'exit 2' INT; cat dbt.log; touch ready; while :; do sleep 0.1; done"]
    process = shell.start("run", "--on-failure", "touch called", "--", *child)
    wait_until((shell.folder / "ready").exists, "dbt at work")
    process.send_signal(signal.SIGTERM)
    out, _ = ended(process)
    assert out.splitlines()[-1] == (
        "relay: the command of --on-failure was not run, because the relay was told to stop"
    )
    assert process.returncode == 2
    assert not (shell.folder / "called").exists()


def test_a_stop_signal_ends_a_command(shell: Shell, dbt: list[str]) -> None:
    calls = ("--on-failure", "touch ready; sleep 600", "--on-end", "touch called")
    process = shell.start("run", *calls, "--", *dbt)
    wait_until((shell.folder / "ready").exists, "the command at work")
    process.send_signal(signal.SIGTERM)
    out, _ = ended(process)
    assert out.splitlines()[-2:] == [
        "relay: the command of --on-failure was killed, because the relay was told to stop",
        "relay: the command of --on-end was not run, because the relay was told to stop",
    ]
    assert process.returncode == 1


def test_a_fault_changes_no_result(
    typed: Typed, shell: Shell, monkeypatch: pytest.MonkeyPatch, dbt: list[str]
) -> None:
    monkeypatch.chdir(shell.folder)
    monkeypatch.setattr("dbt_relay.cli.relay.last_commands.json_form", lambda *_: 1 / 0)
    done = typed("run", "--state-dir", shell.state, "--on-failure", "echo called", "--", *dbt)
    assert done.returncode == 1
    assert "relay: not every command was run, because dbt-relay failed" in done.stdout
    assert "ZeroDivisionError" in done.stderr
