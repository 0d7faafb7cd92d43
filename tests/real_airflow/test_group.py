"""A task group whose dbt runs in a DbtRelayOperator, in a real Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .test_delivery import RUN, run_results

if TYPE_CHECKING:
    from .airflow import Airflow

RUN_DBT, DONE = "dbt.run_dbt", "dbt.done"
FLAKY = "model.jaffle.flaky"


def states(airflow: Airflow, dag_id: str, run_id: str) -> dict[str, str]:
    return {ti["task_id"]: ti["state"] for ti in airflow.tis(dag_id, run_id)}


def test_each_task_ends_as_its_node_with_no_setting(airflow: Airflow) -> None:
    run_id, state = airflow.run("group")
    found = states(airflow, "group", run_id)
    assert state == "failed"
    truth = run_results(airflow.project)
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
    assert airflow.audit("group", run_id) == [], "nothing came over the REST API"
    log = airflow.whole_log("group", run_id, "dbt.broken_on_purpose")
    assert "amount_in_euros" in log
    assert "Traceback" not in log
    said = airflow.whole_log("group", run_id, DONE)
    assert "dbt.broken_on_purpose: failed" in said
    assert "dbt.broken_on_purpose held back 1 task: dbt.skipped_on_purpose" in said


def test_a_failed_task_shows_the_sql_that_dbt_compiled(airflow: Airflow) -> None:
    run_id, _ = airflow.run("group")
    model, test = (
        airflow.ti("group", run_id, f"dbt.{name}") for name in ("broken_on_purpose", "orders.test")
    )
    assert (model["operator"], test["operator"]) == ("DbtModelSensor", "DbtTestSensor")
    compiled = airflow.project / "target/compiled/jaffle/models/marts/broken_on_purpose.sql"
    assert model["rendered_fields"]["compiled_sql"] == compiled.read_text().strip()


def test_a_task_that_succeeds_needs_no_worker(airflow: Airflow) -> None:
    run_id, _ = airflow.run("group")
    assert airflow.ti("group", run_id, "dbt.orders")["state"] == "success"
    assert airflow.ti("group", run_id, "dbt.orders")["hostname"] == ""
    assert "created sql table model main.orders" in airflow.whole_log("group", run_id, "dbt.orders")


def test_groups_in_the_group_end_as_their_nodes(airflow: Airflow) -> None:
    run_id, state = airflow.run("group_folders")
    found = states(airflow, "group_folders", run_id)
    assert state == "success"
    assert set(found.values()) == {"success"}
    assert {"dbt.marts.orders.run", "dbt.marts.orders.test", "dbt.raw_orders"} <= found.keys()
    said = airflow.whole_log("group_folders", run_id, DONE)
    assert f"{len(found) - 2} tasks succeeded" in said


def test_a_mended_node_makes_the_run_green(airflow: Airflow) -> None:
    run_id, state = airflow.run("group_flaky")
    assert state == "failed"
    assert states(airflow, "group_flaky", run_id)["dbt.after_flaky"] == "upstream_failed"
    cleared = airflow.clear("group_flaky", run_id, "dbt.flaky", downstream=True)
    assert {"dbt.flaky", "dbt.after_flaky", DONE} <= cleared
    log = airflow.whole_log("group_flaky", run_id, "dbt.flaky")
    assert airflow.wait("group_flaky", run_id) == "success", log
    found = states(airflow, "group_flaky", run_id)
    assert found.pop(RUN_DBT) == "failed"
    assert set(found.values()) == {"success"}
    xcoms = airflow.xcoms("group_flaky", run_id, RUN_DBT)
    assert xcoms[FLAKY]["renewed"] is True
    assert xcoms["model.jaffle.after_flaky"]["status"] == "success"
    assert xcoms[RUN]["exit_code"] == 1, "the record of the run stays"


def test_a_node_with_a_retry_runs_twice(airflow: Airflow) -> None:
    run_id, state = airflow.run("group_retries")
    assert state == "failed"
    node = airflow.xcom("group_retries", run_id, RUN_DBT, "model.jaffle.broken_on_purpose")
    assert node["attempt"] == 2
    assert "renewed" not in node
    assert "Running it here" not in airflow.whole_log(
        "group_retries", run_id, "dbt.broken_on_purpose"
    )


def test_nodes_that_are_cleared_together_share_one_dbt(airflow: Airflow) -> None:
    run_id, _ = airflow.run("group")
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
