"""The operator in a real Airflow: records, the log, failures, mapped tasks and a timeout."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.timing import wait_until

from .test_delivery import RUN, TASK, run_results

if TYPE_CHECKING:
    from .airflow import Airflow


def test_the_records_of_a_build(airflow: Airflow) -> None:
    run_id, state = airflow.run("operator", {"exclude": "tag:on_purpose"})
    log = airflow.whole_log("operator", run_id, TASK)
    assert state == "success", log
    xcoms = airflow.xcoms("operator", run_id, TASK)
    truth = run_results(airflow.project)
    summary = airflow.xcom("operator", run_id, TASK, "return_value")
    assert xcoms.pop(RUN)["state"] == "finished"
    assert xcoms.keys() == truth.keys()
    assert {k: r["status"] for k, r in xcoms.items()} == {k: r["status"] for k, r in truth.items()}
    assert summary["nodes"]["success"] == len(truth)
    assert summary["delivery"]["airflow"]["delivered"] == len(truth)
    assert airflow.audit("operator", run_id) == [], "nothing came over the REST API"
    assert "Completed successfully" in log
    assert '"delivery"' not in log


def test_a_failure_is_told_with_dbts_words(airflow: Airflow) -> None:
    run_id, state = airflow.run("operator")
    log = airflow.whole_log("operator", run_id, TASK)
    assert state == "failed", log
    xcoms = airflow.xcoms("operator", run_id, TASK)
    assert xcoms["model.jaffle.broken_on_purpose"]["outcome"] == "failure"
    assert xcoms["model.jaffle.skipped_on_purpose"]["outcome"] == "skipped"
    assert "amount_in_euros" in log
    assert "dbt ended with exit code 1: model.jaffle.broken_on_purpose" in log


def test_a_mapped_task(airflow: Airflow) -> None:
    run_id, state = airflow.run("operator_mapped")
    assert state == "success", airflow.task_log("operator_mapped", run_id, TASK)
    for index, seed in enumerate(("raw_orders", "raw_customers")):
        found = airflow.xcoms("operator_mapped", run_id, TASK, map_index=index)
        assert f"seed.jaffle.{seed}" in found


def test_a_timeout_leaves_the_records_of_interrupted_nodes(airflow: Airflow) -> None:
    run_id, state = airflow.run("operator_timeout")
    log = airflow.whole_log("operator_timeout", run_id, TASK)
    assert state == "failed", log
    xcoms = airflow.xcoms("operator_timeout", run_id, TASK)
    assert xcoms["model.jaffle.slow_one"]["outcome"] == "interrupted", log
    assert xcoms[RUN]["state"] in ("finished", "died")


@pytest.mark.parametrize("dag_id", ["operator_flaky", "operator_pods"])
def test_a_later_try_runs_only_what_had_not_succeeded(airflow: Airflow, dag_id: str) -> None:
    run_id, state = airflow.run(dag_id)
    log = airflow.whole_log(dag_id, run_id, TASK)
    assert state == "success", log
    xcoms = airflow.xcoms(dag_id, run_id, TASK)
    assert xcoms["model.jaffle.flaky"]["attempt"] == 2
    assert "resumed_from" not in xcoms["model.jaffle.flaky"]
    assert xcoms["model.jaffle.orders"]["resumed_from"] == 1
    assert {record["attempt"] for record in xcoms.values()} == {2}


def relays_of(run_id: str) -> list[int]:
    """The process ids of the relay of an operator in this DAG run, then of its forks."""
    found: list[int] = []
    for process in Path("/proc").iterdir():
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            environ = (process / "environ").read_bytes()
        except OSError:
            continue
        is_relay = words[1:4] == [b"-m", b"dbt_relay", b"run"]
        if is_relay and f"AIRFLOW_CTX_DAG_RUN_ID={run_id}\0".encode() in environ:
            found.append(int(process.name))
    return sorted(found)


def test_what_a_killed_relay_leaves_is_pushed(airflow: Airflow) -> None:
    run_id = airflow.trigger("operator_timeout")
    airflow.wait_for_log("operator_timeout", run_id, TASK, "START sql table model main.slow_one")
    relay, *_ = wait_until(lambda: relays_of(run_id), "a relay of the operator", pause=0.2)
    os.kill(relay, signal.SIGKILL)
    assert airflow.wait("operator_timeout", run_id) == "failed"
    own = airflow.xcom("operator_timeout", run_id, TASK, RUN)
    assert own["state"] == "died"
    assert "the relay was killed" in own["message"]
