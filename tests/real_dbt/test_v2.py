"""The command around a real dbt v2 (2.0.0rc196)."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.running import Running, end_of
from support.timing import wait_until

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


@pytest.fixture(scope="module")
def built_once(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project.copy(tmp_path_factory.mktemp("built"))
    for command in ("seed", "run"):
        project.run(DBT, command)
    return project


@pytest.fixture
def built(built_once: Project, tmp_path: Path) -> Project:
    """The project with its relations in the database."""
    return Project(Path(shutil.copytree(built_once.root, tmp_path / "built")))


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


def without_times(output: str) -> list[str]:
    return re.sub(r"\[ *[\d.]+m?s\]", "[…]", output).splitlines()


@pytest.mark.parametrize(
    "arguments",
    [
        ["build", "--threads", "1"],
        ["build", "--threads", "1", "--quiet"],
        ["--log-level", "error", "build", "--threads", "1"],
        ["run", "--select", "broken_on_purpose"],
        ["--log-level-file", "info", "run", "--select", "stg_orders"],
        ["ls", "--select", "stg_orders"],
        ["show", "--select", "stg_orders", "--limit", "2"],
        ["run-operation", "no_such_macro"],
        ["parse"],
        ["--version"],
    ],
)
def test_it_prints_what_dbt_prints(built: Project, arguments: list[str]) -> None:
    plain = built.run(DBT, *arguments)
    relayed = built.relay(DBT, *arguments)
    lines = without_times(plain.stdout)
    assert sorted(without_times(relayed.stdout)[: len(lines)]) == sorted(lines)
    of_dbt = [line for line in relayed.stderr.splitlines() if not line.startswith("relay: ")]
    assert of_dbt == plain.stderr.splitlines()


def test_dbts_log_file_and_folder_stay_as_they_are(built: Project) -> None:
    plain, relayed = built.root / "plain", built.root / "relayed"
    built.run(DBT, "run", "--threads", "1", "--log-path", str(plain))
    built.relay(DBT, "run", "--threads", "1", "--log-path", str(relayed))
    assert {p.name for p in relayed.iterdir()} == {p.name for p in plain.iterdir()}
    kinds = [
        Counter(re.findall(r"\[(?:debug|info|warn|error) *\]", (folder / "dbt.log").read_text()))
        for folder in (plain, relayed)
    ]
    assert kinds[0] == kinds[1]


def test_the_telemetry_says_more_than_the_log(project: Project) -> None:
    project.relay(DBT, "build")
    results, nodes = project.results(), project.nodes()
    assert nodes["model.jaffle.skipped_on_purpose"]["caused_by"] == "model.jaffle.broken_on_purpose"
    assert nodes["model.jaffle.broken_on_purpose"]["error_type"] == "user"
    for unique_id, result in results.items():
        assert nodes[unique_id].get("relation") == result.get("relation_name")
        assert nodes[unique_id].get("adapter_response", {}) == result["adapter_response"]
        assert nodes[unique_id]["message"] == result["message"]
        assert nodes[unique_id].get("failures") == result.get("failures")
    assert {r["sequence"] for r in nodes.values()} == {1}
    assert project.records()[-1]["adapter"] == "duckdb"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--otel-file-name", "mine.jsonl", "build"],
        ["--log-level-file", "off", "build"],
        ["--log-level-file", "warn", "build"],
        ["--log-format", "json", "build"],
        ["--log-format", "otel", "build"],
        ["--log-format-file", "otel", "build"],
        ["--log-level", "off", "build"],
    ],
)
def test_each_option_for_logs_leaves_every_record(project: Project, arguments: list[str]) -> None:
    """Where dbt would not write its telemetry for the relay, it logs JSON for it."""
    done = project.relay(DBT, *arguments)
    assert done.returncode == 1, done.stdout + done.stderr
    assert Counter(r["outcome"] for r in project.nodes().values()) == {
        "success": 21,
        "failure": 2,
        "skipped": 1,
    }
    mine = project.root / "logs" / "mine.jsonl"
    assert mine.exists() == ("mine.jsonl" in arguments)


def test_a_failed_hook_skips_the_nodes(project: Project) -> None:
    with (project.root / "dbt_project.yml").open("a") as file:
        file.write('\non-run-start:\n  - "select * from no_such_table"\n')
    done = project.relay(DBT, "build", "--select", "raw_orders")
    assert done.returncode == 1, done.stdout + done.stderr
    nodes = project.nodes()
    hook = nodes["operation.jaffle.jaffle-on-run-start-0"]
    assert (hook["outcome"], "no_such_table" in hook["message"]) == ("failure", True)
    skipped = nodes["seed.jaffle.raw_orders"]
    assert (skipped["outcome"], skipped["caused_by"]) == ("skipped", hook["unique_id"])


def test_no_pipe_is_left(project: Project, tmp_path: Path) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    project.run("dbt-relay", "run", "--", DBT, "seed", TMPDIR=str(folder))
    assert [*folder.iterdir()] == []


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
def test_it_ends_as_dbt_does(built: Project, arguments: list[str]) -> None:
    plain = built.run(DBT, *arguments)
    relayed = built.relay(DBT, *arguments)
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
    begun = [
        project.root / f"target/run/jaffle/models/slow/{name}.sql"
        for name in ("slow_one", "slow_two")
    ]
    wait_until(lambda: all(path.exists() for path in begun), "both queries")
    relay.send_signal(signal.SIGTERM)
    _, out, err = end_of(relay, patience=60)
    nodes = running.nodes()
    assert nodes.keys() == {"model.jaffle.slow_one", "model.jaffle.slow_two"}, out + err
    assert {record["outcome"] for record in nodes.values()} == {"interrupted"}


def test_a_report_says_what_dbt_v2_said(project: Project) -> None:
    done = project.relay(DBT, "build")
    assert done.returncode == 1, done.stdout + done.stderr
    github = project.run("dbt-relay", "report", "--format", "github", GITHUB_STEP_SUMMARY="page.md")
    errors = [text for text in github.stdout.splitlines() if text.startswith("::error ")]
    # dbt names a line of the SQL that it ran, not of the model.
    assert [text.split("::")[1].split(",")[0] for text in errors] == [
        "error file=models/marts/broken_on_purpose.sql",
        "error file=tests/fails_on_purpose.sql",
    ]
    assert ",line=" not in github.stdout
    assert "Got 5 results" in (project.root / "page.md").read_text()
    whole = project.run("dbt-relay", "report", "--format", "json").stdout
    form = json.loads(whole)
    assert len(form["nodes"]) == 24
    assert form["critical_path"][-1] in {node["unique_id"] for node in form["nodes"]}
    page = project.run("dbt-relay", "report", "--out", "-").stdout
    assert page.startswith("<!doctype html>")
    assert "Binder Error: Referenced column" in page
