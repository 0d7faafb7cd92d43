"""Sensors and triggers of Astronomer Cosmos, fed by the sink cosmos instead of its producer."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .airflow import Airflow

DAG_FILE = Path(__file__).parent / "dags/cosmos/watched.py"
EXAMPLE = Path(__file__).parents[2] / "examples/airflow/cosmos_watchers.py"
DEFERRED = ("deferred_orders", "deferred_skipped", "deferred_tests")
STATES = {
    "dbt": "failed",
    "deferred_orders": "success",
    "deferred_skipped": "failed",
    "deferred_tests": "failed",
    "poking_broken": "failed",
    "poking_tests": "success",
    "poking_seed": "success",
    "poking_snapshot": "success",
}


@pytest.fixture(scope="module")
def run_id(airflow: Airflow, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    dag_file = airflow.server.dags / DAG_FILE.name
    shutil.copy(DAG_FILE, dag_file)
    airflow.wait_for_dag("cosmos")
    go = tmp_path_factory.mktemp("cosmos") / "go"
    started = airflow.trigger("cosmos", {"go": str(go)})
    for task_id in DEFERRED:
        airflow.wait_for_state("cosmos", started, task_id, "deferred")
    go.touch()
    airflow.wait("cosmos", started)
    yield started
    dag_file.unlink()


def test_the_consumers_end_as_their_nodes_did(airflow: Airflow, run_id: str) -> None:
    states = {task_id: airflow.ti("cosmos", run_id, task_id)["state"] for task_id in STATES}
    assert states == STATES
    for task_id in STATES.keys() - {"dbt"}:
        log = airflow.task_log("cosmos", run_id, task_id)
        assert "Falling back" not in log, "it ran dbt itself"
        assert "before reporting results" not in log, "it went by the state of the producer"


def test_the_consumers_show_what_became_of_their_nodes(airflow: Airflow, run_id: str) -> None:
    broken = airflow.task_log("cosmos", run_id, "poking_broken")
    assert "amount_in_euros" in broken, "the text of dbt's error"
    skipped = airflow.task_log("cosmos", run_id, "deferred_skipped")
    assert "skipped, because of model.jaffle.broken_on_purpose" in skipped
    assert "[SUCCESS] Start: " in airflow.task_log("cosmos", run_id, "deferred_orders")


def test_the_triggers_read_the_versions(airflow: Airflow, run_id: str) -> None:
    folder = airflow.server.task_logs / "dag_id=cosmos" / f"run_id={run_id}"
    log = "".join(
        path.read_text() for path in (folder / "task_id=deferred_orders").rglob("*trigger*")
    )
    assert "Running with dbt=1." in log
    assert "Registered adapter: duckdb=" in log


def test_each_key_is_written_once(airflow: Airflow, run_id: str) -> None:
    writes = Counter(write.key for write in airflow.audit("cosmos", run_id))
    assert writes.pop("dbt_relay_run") == 3, "the start, the versions, the end"
    assert set(writes.values()) == {1}
    assert {key.rpartition("__")[2] for key in writes if "not_null" in key} == set()
    assert writes["model__jaffle__orders_status"]
    assert writes["model__jaffle__orders_tests_status"]


def test_the_example_runs(airflow: Airflow) -> None:
    dag_file = airflow.server.dags / EXAMPLE.name
    shutil.copy(EXAMPLE, dag_file)
    airflow.wait_for_dag("cosmos_watchers")
    run_id, state = airflow.run("cosmos_watchers")
    states = {ti["task_id"]: ti["state"] for ti in airflow.tis("cosmos_watchers", run_id)}
    assert state == "success", states
    assert states.keys() > {"dbt", "raw_orders", "orders", "customers", "orders_snapshot"}
    assert "Falling back" not in airflow.task_log("cosmos_watchers", run_id, "orders")
    dag_file.unlink()
