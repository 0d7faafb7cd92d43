"""The command around a real dbt v2 (2.0.0rc196)."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.running import Running, end_of, wait_for_words

from real_dbt.project import Project

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DBT = str(ROOT / ".venv-v2" / "with-duckdb" / "dbt")
TASK = {
    "AIRFLOW_CTX_DAG_ID": "shop",
    "AIRFLOW_CTX_DAG_RUN_ID": "manual__1",
    "AIRFLOW_CTX_TASK_ID": "dbt",
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.copy(tmp_path)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    running = Running(tmp_path, env={"PATH": os.environ["PATH"]})
    yield running
    left = running.close()
    assert not left, f"processes left behind: {left}"


def test_each_node_has_one_record_that_agrees_with_run_results(project: Project) -> None:
    done = project.relay(DBT, "build")
    assert done.returncode == 1, done.stdout + done.stderr
    results, nodes = project.results(), project.nodes()
    assert nodes.keys() == results.keys()
    for unique_id, result in results.items():
        assert nodes[unique_id]["status"] == result["status"]
        if result["status"] == "error":
            assert nodes[unique_id]["message"] == result["message"]
    writes = Counter(r["unique_id"] for r in project.records() if "unique_id" in r)
    assert all(n == 1 or nodes[u]["outcome"] != "success" for u, n in writes.items())
    *_, run = project.records()
    assert (run["state"], run["exit_code"]) == ("finished", 1)
    assert run["nodes"] == {"success": 21, "failure": 2, "skipped": 1}
    assert "relay: 24 records, 24 delivered" in done.stdout
    assert '{"data"' not in done.stdout


def test_dbt_warns_of_nothing_that_the_relay_says(project: Project) -> None:
    done = project.relay(DBT, "seed")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not re.search("warning|dbt17", done.stdout)


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--select", "stg_orders"],
        ["run", "--select", "broken_on_purpose"],
        ["run", "--select", "no_such_model"],
        ["build", "--fail-fast"],
        ["build", "--no-such-flag"],
        ["build", "--vars", "{bad"],
        ["ls", "--quiet"],
        ["--version"],
    ],
)
def test_it_ends_as_dbt_does(project: Project, arguments: list[str]) -> None:
    project.run(DBT, "seed")
    plain = project.run(DBT, *arguments)
    relayed = project.relay(DBT, *arguments)
    assert relayed.returncode == plain.returncode, relayed.stdout + relayed.stderr


@pytest.mark.parametrize("is_named", [True, False])
def test_behind_a_script(project: Project, is_named: bool) -> None:
    script = project.root / "nightly.sh"
    script.write_text(f"#!/bin/sh\nexec {DBT} build --select stg_orders+\n")
    script.chmod(0o755)
    command = ["sh", "-c", f"{DBT} seed"] if is_named else ["./nightly.sh"]
    done = project.relay(*command)
    assert project.nodes(), done.stdout + done.stderr
    assert "(dbt17" not in done.stdout


def test_a_retry_continues(project: Project, tmp_path: Path) -> None:
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    resume = ("dbt-relay", "run", "--resume", "--sink", "jsonl:records.jsonl", "--", DBT, "build")
    first = project.run(*resume, **TASK, **state, AIRFLOW_CTX_TRY_NUMBER="1")
    assert first.returncode == 1, first.stdout + first.stderr
    model = project.root / "models" / "marts" / "broken_on_purpose.sql"
    model.write_text(model.read_text().replace("amount_in_euros", "amount"))
    second = project.run(*resume, **TASK, **state, AIRFLOW_CTX_TRY_NUMBER="2")
    assert "resuming attempt 1" in second.stderr
    nodes = [r for r in project.nodes().values() if r["attempt"] == 2]
    assert len(nodes) == 24
    assert Counter(r["outcome"] for r in nodes) == {"success": 23, "failure": 1}


def test_a_query_that_is_stopped_is_interrupted(running: Running, tmp_path: Path) -> None:
    project = Project.copy(tmp_path / "project")
    slow = ["run", "--select", "tag:slow", "--vars", "slow: true", "--threads", "2"]
    relay = running.start(running.command([DBT, *slow]), cwd=project.root)
    wait_for_words(relay, b"Started model", 2)
    relay.send_signal(signal.SIGTERM)
    _, out, err = end_of(relay, patience=60)
    nodes = running.nodes()
    assert nodes.keys() == {"model.jaffle.slow_one", "model.jaffle.slow_two"}, out + err
    assert {record["outcome"] for record in nodes.values()} == {"interrupted"}
