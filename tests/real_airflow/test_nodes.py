"""Tasks that wait for dbt's nodes in a real Airflow, in each mode, with a triggerer."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from support.census import processes_with

if TYPE_CHECKING:
    from .airflow import Airflow

MODES = ("poke", "reschedule", "deferred")
ORDERS, BROKEN, SKIPPED = "orders", "broken_on_purpose", "skipped_on_purpose"
SAID = {
    ORDERS: "OK created sql table model main.orders",
    BROKEN: "Binder Error: Referenced column",
    SKIPPED: "[SKIP because model.jaffle.broken_on_purpose did not succeed]",
}


def states(airflow: Airflow, dag_id: str, run_id: str) -> dict[str, tuple[str, int]]:
    """State and try of each task."""
    return {t["task_id"]: (t["state"], t["try_number"]) for t in airflow.tis(dag_id, run_id)}


def test_in_each_mode_a_task_ends_as_its_node_and_says_so_once(airflow: Airflow) -> None:
    command = "JAFFLE_DUCKDB=target/modes.duckdb dbt-relay run -- dbt build --exclude tag:slow"
    run_id, state = airflow.run("nodes_modes", {"command": f"sleep 12; {command}"})
    assert state == "failed"
    ended = states(airflow, "nodes_modes", run_id)
    for mode in MODES:
        assert ended[f"{mode}_{ORDERS}"] == ("success", 1)
        assert ended[f"{mode}_{BROKEN}"] == ("failed", 1)
        assert ended[f"{mode}_{SKIPPED}"] == ("failed", 1)
        for node, text in SAID.items():
            log = airflow.whole_log("nodes_modes", run_id, f"{mode}_{node}")
            assert log.count(text) == 1, (mode, node, log)
    # Each has looked more than once.
    for node in SAID:
        reads = airflow.reads(run_id, f"model.jaffle.{node}")
        assert len(reads) >= 2 * len(MODES), reads


def test_where_the_relay_is_killed_every_task_ends_with_the_reason(
    airflow: Airflow, marker: str
) -> None:
    """Also those whose triggerer was restarted while they waited in it."""
    command = (
        f"MARKER={marker} JAFFLE_DUCKDB=target/slow.duckdb"
        " dbt-relay run -- dbt run --select tag:slow --vars 'slow: true'"
    )
    run_id = airflow.trigger("nodes_modes", {"command": command})
    airflow.wait_for_log("nodes_modes", run_id, "dbt", "START sql table model main.slow_two")
    airflow.server.restart("triggerer")
    for pid, words in processes_with(marker).items():
        if "dbt-relay run" in words:
            os.kill(pid, signal.SIGKILL)
    assert airflow.wait("nodes_modes", run_id) == "failed"
    waiting = {f"{mode}_{node}" for mode in MODES for node in SAID}
    ended = states(airflow, "nodes_modes", run_id)
    assert {ended[task] for task in waiting} == {("failed", 1)}
    killed_at = airflow.ti("nodes_modes", run_id, "dbt")["end_date"]
    for node in SAID:
        # The look that sees the end, and at most one that was under way, in each of the modes.
        reads = airflow.reads(run_id, f"model.jaffle.{node}", since=killed_at)
        assert len(MODES) <= len(reads) <= 2 * len(MODES), reads
        for mode in MODES:
            log = airflow.whole_log("nodes_modes", run_id, f"{mode}_{node}")
            assert log.count("the relay was killed before dbt had ended this node") == 1, log


def test_each_instance_of_a_mapped_producer_has_its_own_nodes(airflow: Airflow) -> None:
    run_id, state = airflow.run("nodes_mapped")
    assert state == "success"
    found: dict[int, Any] = {
        t["map_index"]: t["state"]
        for t in airflow.tis("nodes_mapped", run_id)
        if t["task_id"] == "raw_orders"
    }
    assert found == {0: "success", 1: "skipped"}
    log = airflow.whole_log("nodes_mapped", run_id, "raw_orders", map_index=0)
    assert log.count("OK loaded seed file main.raw_orders") == 1


def test_the_example_shows_a_task_for_each_node_and_passes(airflow: Airflow) -> None:
    run_id, state = airflow.run("dbt_nodes")
    ended = states(airflow, "dbt_nodes", run_id)
    assert state == "success", ended
    assert set(ended.values()) == {("success", 1)}
    built = {"raw_orders", "stg_orders", "orders", "customers", "orders_snapshot"}
    assert {f"dbt.{node}" for node in built} < ended.keys()
    assert {"run_dbt", "dbt.done", "dbt.orders.test"} < ended.keys()
    log = airflow.whole_log("dbt_nodes", run_id, "dbt.orders.test")
    for test in ("not_null_orders_order_id", "unique_orders_order_id", "no_negative_amounts"):
        assert log.count(f"PASS {test}") == 1
    snapshot = airflow.whole_log("dbt_nodes", run_id, "dbt.orders_snapshot")
    assert snapshot.count("OK snapshotted snapshots.orders_snapshot") == 1
    seed = airflow.whole_log("dbt_nodes", run_id, "dbt.raw_orders")
    assert seed.count("OK loaded seed file main.raw_orders") == 1


def test_the_tasks_follow_a_retry_and_one_node_is_run_again_alone(airflow: Airflow) -> None:
    """`flaky` fails in dbt's first try; `broken_on_purpose` until somebody mends it."""
    run_id, state = airflow.run("nodes_flaky")
    assert state == "failed"
    ended = states(airflow, "nodes_flaky", run_id)
    assert ended["run_dbt"] == ("failed", 2)
    assert ended["dbt.flaky"][0] == "success"
    assert ended["dbt.after_flaky"][0] == "success"
    assert ended[f"dbt.{BROKEN}"] == ("failed", 2)
    assert ended[f"dbt.{SKIPPED}"][0] == "upstream_failed"
    assert ended["dbt.done"][0] == "failed"

    model = airflow.flaky_project / f"models/marts/{BROKEN}.sql"
    model.write_text("select order_id from {{ ref('orders') }}")
    airflow.clear("nodes_flaky", run_id, f"dbt.{BROKEN}", downstream=True)
    airflow.wait("nodes_flaky", run_id)
    again = states(airflow, "nodes_flaky", run_id)
    assert again[f"dbt.{BROKEN}"] == ("success", 3)
    assert again[f"dbt.{SKIPPED}"][0] == "success"
    cleared = {f"dbt.{BROKEN}", f"dbt.{SKIPPED}", "dbt.done"}
    assert {t: s for t, s in again.items() if t not in cleared} == {
        t: s for t, s in ended.items() if t not in cleared
    }
    record = airflow.xcom("nodes_flaky", run_id, "run_dbt", f"model.jaffle.{BROKEN}")
    assert record["outcome"] == "success"
    run = airflow.xcom("nodes_flaky", run_id, "run_dbt", "dbt_relay_run")
    assert run["exit_code"] == 1

    assert airflow.clear("nodes_flaky", run_id, "run_dbt", downstream=True) == ended.keys()
    airflow.wait("nodes_flaky", run_id)
    anew = {t["task_id"]: t for t in airflow.tis("nodes_flaky", run_id)}
    failed = {"run_dbt": "failed", "dbt.customers.test": "failed", "dbt.done": "failed"}
    assert {task: t["state"] for task, t in anew.items()} == dict.fromkeys(anew, "success") | failed
    # None of them took for a result what the run before had left.
    began = airflow.ti("nodes_flaky", run_id, "run_dbt", attempt=3)["start_date"]
    green = {task: t["end_date"] for task, t in anew.items() if t["state"] == "success"}
    assert {task for task, ended_at in green.items() if ended_at < began} == set()


@pytest.mark.parametrize(("code", "tries", "ended_as"), [(0, 1, "success"), (1, 2, "failed")])
def test_a_success_that_outlived_its_try_is_not_believed_in_the_next(
    airflow: Airflow, code: int, tries: int, ended_as: str
) -> None:
    """In a DAG run without a logical date, of which Airflow does not tell the try."""
    run_id, _ = airflow.run("nodes_lasting", {"exit": code})
    ended = states(airflow, "nodes_lasting", run_id)
    assert ended["dbt"] == ("success" if code == 0 else "failed", tries)
    assert ended["raw_orders"] == (ended_as, 1)
    kept = airflow.xcom("nodes_lasting", run_id, "results", "seed.jaffle.raw_orders")
    assert (kept["outcome"], kept["attempt"]) == ("success", 1)
    if code:
        log = airflow.whole_log("nodes_lasting", run_id, "raw_orders")
        assert "there is no record of its run" in log
