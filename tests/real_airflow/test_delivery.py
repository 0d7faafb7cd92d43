"""What arrives in a real Airflow when a real dbt runs in a real BashOperator task."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from .airflow import Airflow

TASK = "dbt"
RUN = "dbt_relay_run"
EXITED = "Command exited with return code {}\n"


def run_results(project: Path) -> dict[str, dict[str, Any]]:
    """dbt's own account of its last run, by unique_id."""
    results = json.loads((project / "target/run_results.json").read_text())["results"]
    return {result["unique_id"]: result for result in results}


def records_of(path: Path) -> dict[str, dict[str, Any]]:
    """The last record of each key in a file that `--sink jsonl:PATH` wrote."""
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return {record.get("unique_id", RUN): record for record in records}


class Build(NamedTuple):
    """One run of the example DAG, and what dbt wrote about it."""

    run_id: str
    truth: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def build(airflow: Airflow) -> Build:
    run_id, state = airflow.run("dbt_build")
    assert state == "success", airflow.task_log("dbt_build", run_id, TASK)
    return Build(run_id, run_results(airflow.project))


def test_the_records_of_the_example_dag(airflow: Airflow, build: Build) -> None:
    xcoms = airflow.xcoms("dbt_build", build.run_id, TASK)
    run = xcoms.pop(RUN)
    assert len(build.truth) > 15
    assert xcoms.keys() == build.truth.keys()
    for key, record in xcoms.items():
        truth = build.truth[key]
        assert record["schema"] == "dbt-relay/node@1"
        assert record["unique_id"] == key
        assert record["status"] == truth["status"]
        # dbt's log rounds what its file has in full.
        assert record["execution_time"] == pytest.approx(truth["execution_time"], rel=1e-5)
        assert record.get("failures") == truth["failures"]
        assert record["attempt"] == 1
    assert run["schema"] == "dbt-relay/run@1"
    assert run["state"] == "finished"
    assert run["exit_code"] == 0
    assert run["nodes"]["success"] == sum(run["nodes"].values()) == len(build.truth)


def test_what_other_tasks_get(airflow: Airflow, build: Build) -> None:
    """The downstream task indexed what xcom_pull gave it: a dict, not the text of one."""
    record = airflow.xcom("dbt_build", build.run_id, TASK, "model.jaffle.orders")
    printed = f"model.jaffle.orders: success: {record.get('message', 'no message')}"
    assert printed in airflow.task_log("dbt_build", build.run_id, "report")
    assert airflow.xcom("dbt_build", build.run_id, "report", "return_value") == "success"

    summary = json.loads(airflow.xcom("dbt_build", build.run_id, TASK, "return_value"))
    nodes = len(build.truth)
    assert summary["nodes"]["success"] == sum(summary["nodes"].values()) == nodes
    assert summary["failed"] == []
    figures = summary["delivery"]["airflow"]
    assert figures["delivered"] == figures["records"] >= nodes
    assert figures["waiting"] == figures["rejected"] == 0


def test_each_node_is_written_once(airflow: Airflow, build: Build) -> None:
    writes = airflow.audit("dbt_build", build.run_id)
    per_key = Counter(write.key for write in writes)
    assert per_key.pop(RUN) == 2  # at the start and at the end
    assert per_key == dict.fromkeys(build.truth, 1)
    assert {write.event for write in writes if write.key != RUN} == {"create_xcom_entry"}
    assert {write.user for write in writes} == {"user"}


def test_a_failing_build(airflow: Airflow, tmp_path: Path) -> None:
    """Fails the task with dbt's exit code, having delivered what the other sink got."""
    path = tmp_path / "records.jsonl"
    command = f"dbt-relay run --note --sink airflow --sink jsonl:{path} -- dbt build"
    run_id, state = airflow.run("command", {"command": command})

    assert state == "failed"
    assert EXITED.format(1) in airflow.task_log("command", run_id, TASK)
    output = airflow.output("command", run_id, TASK)
    assert '"info"' not in output, "dbt's raw JSON in the task log"
    assert set(json.loads(output.splitlines()[-1])["failed"]) == {
        "model.jaffle.broken_on_purpose",
        "test.jaffle.fails_on_purpose",
    }

    counts, *failures = airflow.ti("command", run_id, TASK)["note"].splitlines()
    assert counts.endswith(" 2 failure, 1 skipped")
    assert sorted(line.partition(" Error: ")[0] for line in failures) == [
        "- model.jaffle.broken_on_purpose: Binder",
        "- test.jaffle.fails_on_purpose: Got 5 results, configured to fail if != 0",
    ]

    xcoms = airflow.xcoms("command", run_id, TASK)
    records = records_of(path)
    run = xcoms.pop(RUN)
    records.pop(RUN, None)
    assert xcoms == records
    assert xcoms.keys() == run_results(airflow.project).keys()
    outcomes = Counter(record["outcome"] for record in xcoms.values())
    assert outcomes["failure"] == 2
    assert outcomes["skipped"] == 1
    assert run["exit_code"] == 1
    assert {word: count for word, count in run["nodes"].items() if count} == outcomes

    broken = xcoms["model.jaffle.broken_on_purpose"]
    assert broken["status"] == "error"
    assert "amount_in_euros" in broken["message"]
    skipped = xcoms["model.jaffle.skipped_on_purpose"]
    assert skipped["caused_by"] == "model.jaffle.broken_on_purpose"

    per_key = Counter(write.key for write in airflow.audit("command", run_id))
    for key, record in xcoms.items():
        assert per_key[key] <= (2 if record["outcome"] == "failure" else 1), key


def test_an_exit_code_of_2_and_a_wrong_password(airflow: Airflow) -> None:
    """dbt's exit code passes through whatever becomes of the delivery."""
    command = (
        "DBT_RELAY_AIRFLOW_PASSWORD=wrong DBT_RELAY_FLUSH_TIMEOUT=3"
        " dbt-relay run -- dbt build --selector nope"
    )
    run_id, state = airflow.run("command", {"command": command})

    assert state == "failed"
    assert EXITED.format(2) in airflow.task_log("command", run_id, TASK)
    output = airflow.output("command", run_id, TASK)
    assert "Invalid credentials" in output, "Airflow's own answer"
    assert "DBT_RELAY_AIRFLOW_USERNAME" in output, "what to correct"
    assert airflow.xcom_keys("command", run_id, TASK) == set()


def test_a_user_without_permission(airflow: Airflow) -> None:
    """VIEWER may not write: said clearly, and dbt's result stands."""
    password = airflow.server.passwords["viewer"]
    command = (
        f"DBT_RELAY_AIRFLOW_USERNAME=viewer DBT_RELAY_AIRFLOW_PASSWORD={password}"
        " DBT_RELAY_FLUSH_TIMEOUT=3 dbt-relay run -- dbt seed --select raw_customers"
    )
    run_id, state = airflow.run("command", {"command": command})

    assert state == "success"
    output = airflow.output("command", run_id, TASK)
    assert "Forbidden" in output, "Airflow's own answer"
    assert " role " in output, "what the user lacks"
    assert password not in output
    assert airflow.xcom_keys("command", run_id, TASK) == {"return_value"}
    summary = json.loads(airflow.xcom("command", run_id, TASK, "return_value"))
    assert summary["nodes"]["success"] == 1
    assert summary["delivery"]["airflow"]["delivered"] == 0
    assert summary["delivery"]["airflow"]["waiting"] >= 1


def test_another_task_and_the_address_that_airflow_exports(airflow: Airflow) -> None:
    """`--xcom-task-id`; without DBT_RELAY_AIRFLOW_URL, AIRFLOW__API__BASE_URL is the address."""
    command = (
        "env -u DBT_RELAY_AIRFLOW_URL"
        " dbt-relay run --xcom-task-id results -- dbt seed --select raw_customers"
    )
    run_id, state = airflow.run("command", {"command": command})

    assert state == "success"
    assert airflow.xcom_keys("command", run_id, "results") == {RUN, "seed.jaffle.raw_customers"}
    assert airflow.xcom_keys("command", run_id, TASK) == {"return_value", RUN}


def test_a_mapped_task(airflow: Airflow) -> None:
    run_id, state = airflow.run("command_mapped")

    assert state == "success", airflow.task_log("command_mapped", run_id, TASK, map_index=0)
    for map_index, seed in enumerate(("seed.jaffle.raw_customers", "seed.jaffle.raw_orders")):
        xcoms = airflow.xcoms("command_mapped", run_id, TASK, map_index)
        assert xcoms.keys() == {RUN, seed}
        assert xcoms[seed]["status"] == "success"


def test_a_retry_replaces_the_records_of_the_first_try(airflow: Airflow) -> None:
    command = (
        "if [ $AIRFLOW_CTX_TRY_NUMBER = 1 ]; then seed=raw_orders; else seed=raw_customers; fi;"
        " dbt-relay run --note -- dbt seed --select $seed && [ $seed = raw_customers ]"
    )
    run_id, state = airflow.run("command_twice", {"command": command})

    assert state == "success"
    xcoms = airflow.xcoms("command_twice", run_id, TASK)
    assert xcoms.keys() == {RUN, "seed.jaffle.raw_customers"}
    assert xcoms["seed.jaffle.raw_customers"]["attempt"] == 2
    assert xcoms[RUN]["attempt"] == 2
    # Airflow keeps a note over a retry; had it changed the first try's state, there were no second.
    assert airflow.ti("command_twice", run_id, TASK)["note"] == (
        "dbt-relay: 1 node: 1 success (try 2)"
    )
    written = {write.key for write in airflow.audit("command_twice", run_id)}
    assert "seed.jaffle.raw_orders" in written  # by the first try
