"""`dbt-relay wait` as the command of tasks in a real Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .airflow import Airflow

FLAKY = "model.jaffle.flaky"


def test_tasks_that_wait_end_as_their_nodes_and_a_retry_runs_the_node(airflow: Airflow) -> None:
    run_id, _ = airflow.run("nodes_waits")
    ended = {
        t["task_id"]: (t["state"], t["try_number"]) for t in airflow.tis("nodes_waits", run_id)
    }
    assert ended == {
        "dbt": ("failed", 1),
        "wait_orders": ("success", 1),
        "wait_all": ("success", 1),
        "wait_after_flaky": ("skipped", 1),
        "wait_flaky": ("success", 2),
    }
    orders = airflow.output("nodes_waits", run_id, "wait_orders")
    assert orders.count("OK created sql table model main.orders") == 1
    told = airflow.task_log("nodes_waits", run_id, "wait_flaky")
    assert told.count("Binder Error") == 1, told
    record = airflow.xcom("nodes_waits", run_id, "dbt", FLAKY)
    assert (record["outcome"], record["attempt"]) == ("success", 1)
    run = airflow.xcom("nodes_waits", run_id, "dbt", "dbt_relay_run")
    assert (run["exit_code"], run["failed"]) == (1, [FLAKY])


@pytest.fixture(scope="module")
def mapped_run(airflow: Airflow) -> str:
    return airflow.run("nodes_mapped")[0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--dag-id", "nodes_map"], "has no DAG 'nodes_map', but it has 'nodes_mapped'"),
        (["--run-id", "norun"], "has no run 'norun' of DAG 'nodes_mapped': see --run-id"),
        (["--task-id", "notask"], "has no task 'notask' in run"),
        (["--task-id", "raw_order"], ", but it has 'raw_orders': see --task-id"),
        (["--map-index", "7"], "has no instance 7 of task 'dbt': see --map-index"),
        ([], "Task instance is mapped"),
    ],
)
def test_a_wrong_id_is_named(
    airflow: Airflow, mapped_run: str, options: list[str], words: str
) -> None:
    place = ["--dag-id", "nodes_mapped", "--run-id", mapped_run, "--task-id", "dbt", *options]
    done = airflow.relay("wait", *place, "--timeout", "5", "seed.jaffle.raw_orders")
    assert done.returncode == 78, done.stderr
    assert words in done.stderr
    assert "not Airflow's API" not in done.stderr
