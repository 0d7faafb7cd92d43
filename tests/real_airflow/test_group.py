"""A task group whose dbt runs in a DbtRelayOperator, in a real Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .test_delivery import RUN, run_results

if TYPE_CHECKING:
    from .airflow import Airflow

RUN_DBT, DONE = "dbt.run_dbt", "dbt.done"
FLAKY = "model.jaffle.flaky"


@pytest.fixture(scope="module")
def run_ids(airflow: Airflow) -> dict[str, str]:
    """A run of each DAG. They run beside each other."""
    dag_ids = ("group", "group_flaky", "group_cleared", "group_retries", "group_folders")
    return {dag_id: airflow.trigger(dag_id) for dag_id in dag_ids}


@pytest.fixture(scope="module")
def cleared(airflow: Airflow, run_ids: dict[str, str]) -> dict[str, str]:
    """Two runs in which `flaky` failed. In one the node is cleared then, in the other the task that
    runs dbt. Both run beside each other."""
    tasks = {"group_flaky": "dbt.flaky", "group_cleared": RUN_DBT}
    for dag_id in tasks:
        assert airflow.wait(dag_id, run_ids[dag_id]) == "failed"
        assert states(airflow, dag_id, run_ids[dag_id])["dbt.after_flaky"] == "upstream_failed"
    for dag_id, task_id in tasks.items():
        found = airflow.clear(dag_id, run_ids[dag_id], task_id, downstream=True)
        assert {"dbt.flaky", "dbt.after_flaky", DONE} <= found
    return {dag_id: run_ids[dag_id] for dag_id in tasks}


@pytest.fixture(scope="module")
def failed_run(airflow: Airflow, run_ids: dict[str, str]) -> str:
    """A run with a model and a test that fail."""
    assert airflow.wait("group", run_ids["group"]) == "failed"
    return run_ids["group"]


def states(airflow: Airflow, dag_id: str, run_id: str) -> dict[str, str]:
    return {ti["task_id"]: ti["state"] for ti in airflow.tis(dag_id, run_id)}


def test_each_task_ends_as_its_node_with_no_setting(airflow: Airflow, failed_run: str) -> None:
    found = states(airflow, "group", failed_run)
    truth = run_results(airflow.project.with_name("group"))
    assert found.pop(RUN_DBT) == found.pop(DONE) == "failed"
    built = {task_id: s for task_id, s in found.items() if not task_id.endswith(".test")}
    assert built == {
        f"dbt.{unique_id.rpartition('.')[2]}": {
            "success": "success",
            "error": "failed",
            "skipped": "upstream_failed",
        }[result["status"]]
        for unique_id, result in truth.items()
        if unique_id.startswith(("model.", "seed.", "snapshot."))
    }
    assert airflow.audit("group", failed_run) == [], "nothing came over the REST API"
    log = airflow.whole_log("group", failed_run, "dbt.broken_on_purpose")
    assert "amount_in_euros" in log
    assert "Traceback" not in log
    said = airflow.whole_log("group", failed_run, DONE)
    assert "dbt.broken_on_purpose: failed" in said
    assert "dbt.broken_on_purpose held back 1 task: dbt.skipped_on_purpose" in said


def test_a_failed_task_shows_the_sql_that_dbt_compiled(airflow: Airflow, failed_run: str) -> None:
    model, test = (
        airflow.ti("group", failed_run, f"dbt.{name}")
        for name in ("broken_on_purpose", "orders.test")
    )
    assert (model["operator"], test["operator"]) == ("DbtModelSensor", "DbtTestSensor")
    folder = airflow.project.with_name("group") / "target/compiled/jaffle/models/marts"
    compiled = (folder / "broken_on_purpose.sql").read_text().strip()
    assert model["rendered_fields"]["compiled_sql"] == compiled


def test_a_first_task_that_succeeds_needs_no_worker(airflow: Airflow, failed_run: str) -> None:
    first = airflow.ti("group", failed_run, "dbt.raw_orders")
    assert (first["state"], first["hostname"]) == ("success", "")
    log = airflow.whole_log("group", failed_run, "dbt.raw_orders")
    assert "OK loaded seed file main.raw_orders" in log


def test_groups_in_the_group_end_as_their_nodes(airflow: Airflow, run_ids: dict[str, str]) -> None:
    run_id = run_ids["group_folders"]
    state = airflow.wait("group_folders", run_id)
    found = states(airflow, "group_folders", run_id)
    assert state == "success"
    assert set(found.values()) == {"success"}
    assert {"dbt.marts.orders.run", "dbt.marts.orders.test", "dbt.raw_orders"} <= found.keys()
    said = airflow.whole_log("group_folders", run_id, DONE)
    assert f"{len(found) - 2} tasks succeeded" in said


def test_a_mended_node_makes_the_run_green(airflow: Airflow, cleared: dict[str, str]) -> None:
    run_id = cleared["group_flaky"]
    log = airflow.whole_log("group_flaky", run_id, "dbt.flaky")
    assert airflow.wait("group_flaky", run_id) == "success", log
    found = states(airflow, "group_flaky", run_id)
    assert found.pop(RUN_DBT) == "failed"
    assert set(found.values()) == {"success"}
    xcoms = airflow.xcoms("group_flaky", run_id, RUN_DBT)
    assert xcoms[FLAKY]["renewed"] is True
    assert xcoms["model.jaffle.after_flaky"]["status"] == "success"
    assert xcoms[RUN]["exit_code"] == 1, "the record of the run stays"


def test_a_cleared_task_of_a_green_node_says_that_it_runs_nothing(
    airflow: Airflow, cleared: dict[str, str]
) -> None:
    run_id = cleared["group_flaky"]
    assert airflow.wait("group_flaky", run_id) == "success"
    for task in ("dbt.raw_orders", "dbt.stg_orders"):
        airflow.clear("group_flaky", run_id, task, downstream=False)
    assert airflow.wait("group_flaky", run_id) == "success"
    for task in ("dbt.raw_orders", "dbt.stg_orders"):
        log = airflow.whole_log("group_flaky", run_id, task)
        assert f"so it does not run again. To run it again, clear {RUN_DBT}" in log, log
        assert "Running it here" not in log


def test_dbt_cleared_with_its_group_runs_only_what_had_not_succeeded(
    airflow: Airflow, cleared: dict[str, str]
) -> None:
    run_id = cleared["group_cleared"]
    state = airflow.wait("group_cleared", run_id)
    assert state == "success", airflow.whole_log("group_cleared", run_id, RUN_DBT)
    assert set(states(airflow, "group_cleared", run_id).values()) == {"success"}
    rest = {FLAKY, "model.jaffle.after_flaky"}
    assert run_results(airflow.project.with_name("group_cleared")).keys() == rest
    xcoms = airflow.xcoms("group_cleared", run_id, RUN_DBT)
    assert xcoms.pop(RUN)["resumed_from"] == 1
    assert {u for u, record in xcoms.items() if "resumed_from" not in record} == rest
    assert {record["attempt"] for record in xcoms.values()} == {2}
    assert "Running it here" not in airflow.whole_log("group_cleared", run_id, "dbt.flaky")


def test_a_node_with_a_retry_runs_twice(airflow: Airflow, run_ids: dict[str, str]) -> None:
    run_id = run_ids["group_retries"]
    state = airflow.wait("group_retries", run_id)
    assert state == "failed"
    node = airflow.xcom("group_retries", run_id, RUN_DBT, "model.jaffle.broken_on_purpose")
    assert node["attempt"] == 2
    assert "renewed" not in node
    assert "Running it here" not in airflow.whole_log(
        "group_retries", run_id, "dbt.broken_on_purpose"
    )


def test_nodes_that_are_cleared_together_share_one_dbt(airflow: Airflow, failed_run: str) -> None:
    run_id = failed_run
    tasks = ("dbt.broken_on_purpose", "dbt.customers.test")
    airflow.clear("group", run_id, *tasks, downstream=True)
    assert airflow.wait("group", run_id) == "failed"
    logs = [airflow.whole_log("group", run_id, task) for task in tasks]
    assert sorted("Running it here" in log for log in logs) == [False, True], logs
    assert "amount_in_euros" in logs[0]
    assert "fails_on_purpose" in logs[1]
    records = airflow.xcoms("group", run_id, RUN_DBT)
    renewed = [record for record in records.values() if record.get("renewed")]
    assert {record["resource_type"] for record in renewed} == {"model", "test"}
    assert len({record["invocation_id"] for record in renewed}) == 1
