"""A second try of an Airflow task that continues where dbt stopped in the first."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest
from support.census import processes_with

from dbt_relay.records import TaskInstance
from dbt_relay.sinks import Hold
from dbt_relay.sinks.airflow import AirflowSettings, Login
from dbt_relay.sinks.airflow.attempts import read_attempts

if TYPE_CHECKING:
    from pathlib import Path

    from .airflow import Airflow

TASK = "dbt"
RUN = "dbt_relay_run"
FIRST_TRY = "env_var('AIRFLOW_CTX_TRY_NUMBER', '1') == '1'"
FLAKY = f"""
select {{{{ 'no_such_column' if {FIRST_TRY} else '1' }}}} as id from {{{{ ref('orders') }}}}
"""
STUCK = f"""
{{% if {FIRST_TRY} %}}
select count(*) as id from range(1000000) a, range(1000000) b, {{{{ ref('orders') }}}}
{{% else %}}
select count(*) as id from {{{{ ref('orders') }}}}
{{% endif %}}
"""
AFTER = "select * from {{{{ ref('{}') }}}}"


@pytest.fixture
def project(airflow: Airflow, tmp_path: Path) -> Path:
    """The example project without what fails on purpose; a test adds models of its own."""
    root = tmp_path / "jaffle"
    shutil.copytree(airflow.project, root, ignore=shutil.ignore_patterns("target", "logs"))
    return root


def add(project: Path, name: str, sql: str) -> None:
    """A model, one that needs it, and a test of each."""
    marts = project / "models" / "marts"
    (marts / f"{name}.sql").write_text(sql)
    (marts / f"after_{name}.sql").write_text(AFTER.format(name))
    tested = "".join(
        f"  - name: {model}\n    columns: [{{name: id, data_tests: [not_null]}}]\n"
        for model in (name, f"after_{name}")
    )
    (marts / f"{name}.yml").write_text(f"version: 2\nmodels:\n{tested}")


def command(project: Path, marker: str, *options: str) -> str:
    words = " ".join(options)
    return (
        f"cd {project} && MARKER={marker} DBT_PROJECT_DIR=. dbt-relay run --resume {words}"
        " -- dbt build --exclude tag:on_purpose tag:slow"
    )


def selected(project: Path) -> set[str]:
    """Every node that the command is to build, as dbt's manifest has them."""
    nodes = json.loads((project / "target/manifest.json").read_text())["nodes"]
    return {u for u, n in nodes.items() if not {"on_purpose", "slow"} & set(n["config"]["tags"])}


def assert_resumed(airflow: Airflow, run_id: str, project: Path, first: set[str]) -> dict[str, Any]:
    """Every node's XCom is there, and those of `first`, which had succeeded, did not run again."""
    xcoms = airflow.xcoms("command_twice", run_id, TASK)
    run = xcoms.pop(RUN)
    assert xcoms.keys() == selected(project)
    assert {record["attempt"] for record in xcoms.values()} == {2}
    assert {record["outcome"] for record in xcoms.values()} == {"success"}
    assert {key for key, record in xcoms.items() if "resumed_from" in record} == first
    assert {xcoms[key]["resumed_from"] for key in first} == {1}
    assert len({xcoms[key]["invocation_id"] for key in xcoms.keys() - first}) == 1
    results = json.loads((project / "target/run_results.json").read_text())["results"]
    ran = {r["unique_id"] for r in results}
    assert ran == xcoms.keys() - first, "what dbt itself says it ran"
    assert run["nodes"] == {"success": len(xcoms)}
    assert run["attempt"] == 2
    assert run["resumed_from"] == 1
    return xcoms


def test_a_node_that_fails_first_and_succeeds_then(
    airflow: Airflow, project: Path, marker: str
) -> None:
    add(project, "flaky", FLAKY)
    run_id, state = airflow.run("command_twice", {"command": command(project, marker)})

    assert state == "success", airflow.task_log("command_twice", run_id, TASK, attempt=2)
    rest = {u for u in selected(project) if "flaky" in u}
    assert len(rest) == 4
    assert_resumed(airflow, run_id, project, selected(project) - rest)
    assert "resuming attempt 1 with dbt retry" in airflow.task_log(
        "command_twice", run_id, TASK, attempt=2
    )


def kill_dbt_when(airflow: Airflow, run_id: str, marker: str, node: str) -> set[str]:
    """SIGKILL to dbt once `node` runs and nothing else is under way; what had a record then."""
    airflow.wait_for_log("command_twice", run_id, TASK, f"START sql table model main.{node}")
    before: set[str] = set()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        time.sleep(1.0)
        keys = airflow.xcom_keys("command_twice", run_id, TASK)
        if keys == before:
            break
        before = keys
    dbts = [
        pid
        for pid, words in processes_with(marker).items()
        if "dbt build" in words.replace("--log-format json", "") or "/dbt " in words
    ]
    dbts = [pid for pid in dbts if "dbt-relay" not in processes_with(marker).get(pid, "")]
    assert len(dbts) == 1, processes_with(marker)
    os.kill(dbts[0], signal.SIGKILL)
    return before - {RUN}


def test_dbt_killed_in_the_first_try(airflow: Airflow, project: Path, marker: str) -> None:
    add(project, "stuck", STUCK)
    run_id = airflow.trigger("command_twice", {"command": command(project, marker)})
    first = kill_dbt_when(airflow, run_id, marker, "stuck")
    assert len(first) > 10
    state = airflow.wait("command_twice", run_id)

    log = airflow.task_log("command_twice", run_id, TASK, attempt=2)
    assert state == "success", log
    assert "resuming attempt 1" in log
    assert "run_results.json" in log
    xcoms = assert_resumed(airflow, run_id, project, first)
    assert "resumed_from" not in xcoms["model.jaffle.stuck"]


def test_without_the_journal_of_the_first_try(
    airflow: Airflow, project: Path, tmp_path: Path, marker: str
) -> None:
    """As in a new pod: what had succeeded is known from the XComs of another task."""
    add(project, "flaky", FLAKY)
    state_dir = f"--state-dir {tmp_path}/state-$AIRFLOW_CTX_TRY_NUMBER"
    text = command(project, marker, state_dir, "--xcom-task-id results")
    run_id, state = airflow.run("command_twice", {"command": text})

    log = airflow.task_log("command_twice", run_id, TASK, attempt=2)
    assert state == "success", log
    xcoms = airflow.xcoms("command_twice", run_id, "results")
    assert xcoms.pop(RUN)["resumed_from"] == 1
    assert xcoms.keys() == selected(project)
    assert {record["attempt"] for record in xcoms.values()} == {2}
    assert {u for u, r in xcoms.items() if "resumed_from" not in r} == {
        u for u in xcoms if "flaky" in u
    }


def test_a_dag_run_that_was_made_anew_under_the_same_id(
    airflow: Airflow, project: Path, tmp_path: Path, marker: str
) -> None:
    """Its first try leaves nothing, and the journal still has that of the one before it."""
    add(project, "flaky", FLAKY.replace("'1'", "'0'").replace("== '0'", "!= '0'"))
    text = f"export DBT_RELAY_STATE_DIR={tmp_path}/state; " + command(project, marker)
    run_id, state = airflow.run("command_twice", {"command": text})
    assert state == "failed", "no try of it builds all"
    airflow.delete("command_twice", run_id)
    add(project, "flaky", FLAKY)
    text = text.replace("cd ", "[ $AIRFLOW_CTX_TRY_NUMBER = 1 ] && exit 1; cd ", 1)
    airflow.trigger("command_twice", {"command": text}, run_id)

    assert airflow.wait("command_twice", run_id) == "success"
    log = airflow.task_log("command_twice", run_id, TASK, attempt=2)
    assert "is not Airflow's try" in log
    xcoms = airflow.xcoms("command_twice", run_id, TASK)
    xcoms.pop(RUN)
    assert xcoms.keys() == selected(project)
    assert not [key for key, record in xcoms.items() if "resumed_from" in record]


def test_the_tries_of_a_mapped_task(airflow: Airflow) -> None:
    run_id, _ = airflow.run("command_mapped")
    login = Login(username="user", password=airflow.server.passwords["user"])

    def tries(map_index: int) -> Any:
        task = TaskInstance("command_mapped", run_id, TASK, map_index)
        to = AirflowSettings(airflow.server.url, task, login)
        return read_attempts(to)

    for index in (0, 1):
        (only,) = tries(index)
        ti = airflow.ti("command_mapped", run_id, TASK, index)
        assert only.number == 1
        assert only.spans(ti["start_date"])
        assert only.spans(ti["end_date"])
        assert not only.spans("2026-01-02T03:04:05Z")
    told = tries(-1)
    assert isinstance(told, Hold)
    assert "mapped" in told.reason
    assert "--map-index" in told.reason
