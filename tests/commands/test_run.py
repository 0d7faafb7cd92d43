"""`dbt-relay run` with a command that leaves no event of dbt's: what is said of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from subprocess import PIPE
from typing import TYPE_CHECKING

import pytest
from support.command import RELAY, ended
from support.environment import AIRFLOW_TASK, NAMED_TASK
from support.logs import line
from support.timing import wait_until

if TYPE_CHECKING:
    from support.command import Shell


def test_inside_airflow_without_an_address_dbt_runs_all_the_same(shell: Shell) -> None:
    done = shell("run", "--", "echo", "ran", **AIRFLOW_TASK)
    assert done.returncode == 0
    assert done.stdout.startswith("ran\n")
    first, second = done.stderr.splitlines()
    assert "set DBT_RELAY_AIRFLOW_URL and DBT_RELAY_AIRFLOW_TOKEN" in first
    assert "no event of dbt's log came through" in second


@pytest.mark.parametrize(
    ("script", "arguments", "is_said"),
    [
        ("echo built", ["build"], True),
        ("echo built; exit 1", ["build"], False),
        ("echo dbt-fusion 2.0.0", ["--version"], False),
        ("echo Usage:", ["build", "-h"], False),
    ],
)
def test_a_dbt_that_leaves_no_event_is_told(
    shell: Shell, script: str, arguments: list[str], is_said: bool
) -> None:
    dbt = shell.folder / "dbt"
    dbt.write_text(f"#!/bin/sh\n{script}\n")
    dbt.chmod(0o755)
    for command in ([dbt], ["env", dbt]):
        done = shell("run", "--", *command, *arguments)
        is_wrapped_failure = command[0] == "env" and "exit" in script
        assert ("no event of dbt's log came" in done.stderr) is (is_said or is_wrapped_failure)


def test_an_option_that_went_to_dbt_is_told(shell: Shell) -> None:
    done = shell("run", "--", "sh", "-c", "exit 2", "dbt", "run", "--resume")
    assert done.returncode == 2
    *_, last = done.stderr.splitlines()
    assert last.startswith("relay: ")
    assert "--resume -- sh" in last


def test_outside_a_worker_three_ids_make_it_a_task(shell: Shell) -> None:
    three = {name: value for name, value in NAMED_TASK.items() if name != "DBT_RELAY_TRY_NUMBER"}
    done = shell("run", "--", "echo", "ran", **three)
    assert "to have them in XCom, set DBT_RELAY_AIRFLOW_URL and" in done.stderr
    del three["DBT_RELAY_RUN_ID"]
    assert "XCom" not in shell("run", "--", "echo", "ran", **three).stderr


def test_a_note_that_no_task_can_get(shell: Shell) -> None:
    done = shell("run", "--note", "--", "echo", "ran")
    assert done.returncode == 0
    assert done.stderr.splitlines()[0] == (
        "relay: no note is written: --note needs the sink airflow or cosmos"
    )


def test_nothing_follows_the_json_summary(shell: Shell) -> None:
    """A BashOperator joins both streams, and takes the last line for the `return_value`."""
    for command in (["run", "--", "true"], ["run", "--", "sh", "-c", "exit 2", "dbt", "run"]):
        process = shell.start(*command, stderr=subprocess.STDOUT, **AIRFLOW_TASK)
        *lines, last = ended(process)[0].splitlines()
        assert json.loads(last) == {"nodes": {}, "failed": [], "delivery": {}}
        assert any("no event of dbt's log came through" in line for line in lines)


def test_a_node_whose_dbt_was_told_to_stop_is_interrupted(shell: Shell) -> None:
    about = {"unique_id": "model.shop.m", "resource_type": "model", "node_name": "m"}
    begin = [
        line("MainReportVersion", {"version": "=1.11.16"}, level="info"),
        line("ConcurrencyLine", {"node_count": 3}, level="info"),
        line("NodeStart", {"node_info": about}),
    ]
    result = {"status": "error", "message": "connection never acquired"}
    end = line(
        "NodeFinished", {"node_info": about, "run_result": result}, ts="2999-01-01T00:00:00Z"
    )
    (shell.folder / "begin.log").write_bytes(b"".join(begin))
    (shell.folder / "end.log").write_bytes(end)
    script = (
        "trap 'cat end.log; exit 2' INT; cat begin.log; touch ready; while :; do sleep 0.1; done"
    )
    process = shell.start("run", "--", "sh", "-c", script, "dbt", "build")
    wait_until((shell.folder / "ready").exists, "dbt at work")
    process.send_signal(signal.SIGINT)
    out, _ = ended(process)
    assert process.returncode == 2
    assert "  model.shop.m [interrupted]" in out.splitlines()
    assert "dbt ended before it ran 2 of 3 nodes." in out.splitlines()
    assert "1 interrupted, 2 not run" in shell("runs").stdout
    shown = shell("show", "--failed").stdout
    assert "nodes: 1 interrupted, 2 not run" in shown.splitlines()
    assert "model.shop.m [interrupted]" in shown.splitlines()


def test_a_reader_that_went_away_is_no_failure_of_dbt(shell: Shell) -> None:
    """`dbt-relay show | head`: the status is a shell's for SIGPIPE."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        command = [*RELAY, "runs"]
        done = subprocess.run(command, stdout=writing, env=shell.env, stderr=PIPE, check=False)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")
