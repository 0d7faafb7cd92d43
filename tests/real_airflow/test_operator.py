"""The operator in a real Airflow: records, the log, failures, mapped tasks and a timeout."""

from __future__ import annotations

import os
import signal
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.census import processes_left
from support.timing import wait_until

from .test_delivery import RUN, TASK, run_results

if TYPE_CHECKING:
    from .airflow import Airflow

SLOW = ("model.jaffle.slow_one", "model.jaffle.slow_two")
OTHER_CALLS = 10
"""Calls of a task besides those for its nodes and those that come with time: Airflow's own, for the
record of the run and for the return value."""
IN_TIME = ("/heartbeat", "/store/")
"""Calls of which a slow run has more: one in two seconds, and two in ten seconds."""


def assert_one_call_for_each_node(airflow: Airflow, run_id: str, nodes: set[str]) -> None:
    calls = Counter(airflow.calls("operator", run_id, TASK))
    of_nodes = {c.rpartition("/")[2]: n for c, n in calls.items() if c.startswith("POST /xcoms/")}
    assert {node: n for node, n in of_nodes.items() if node in nodes} == dict.fromkeys(nodes, 1)
    in_time = sum(n for c, n in calls.items() if any(part in c for part in IN_TIME))
    assert calls.total() - in_time <= len(nodes) + OTHER_CALLS, calls


def test_the_records_of_a_build(airflow: Airflow) -> None:
    run_id, state = airflow.run("operator", {"exclude": "tag:on_purpose"})
    log = airflow.whole_log("operator", run_id, TASK)
    assert state == "success", log
    assert airflow.xcom_keys("operator", run_id, TASK) == {
        *run_results(airflow.project),
        RUN,
        "return_value",
    }
    xcoms = airflow.xcoms("operator", run_id, TASK)
    truth = run_results(airflow.project)
    summary = airflow.xcom("operator", run_id, TASK, "return_value")
    assert xcoms.pop(RUN)["state"] == "finished"
    assert {k: r["status"] for k, r in xcoms.items()} == {k: r["status"] for k, r in truth.items()}
    assert summary["nodes"]["success"] == len(truth)
    assert summary["delivery"]["airflow"]["delivered"] == len(truth)
    assert airflow.audit("operator", run_id) == [], "nothing came over the REST API"
    assert_one_call_for_each_node(airflow, run_id, {*truth})
    assert log.count("Completed successfully") == log.count("Done. PASS=") == 1
    assert '"delivery"' not in log


def test_a_failure_is_told_with_dbts_words(airflow: Airflow) -> None:
    run_id, state = airflow.run("operator")
    log = airflow.whole_log("operator", run_id, TASK)
    assert state == "failed", log
    xcoms = airflow.xcoms("operator", run_id, TASK)
    assert xcoms["model.jaffle.broken_on_purpose"]["outcome"] == "failure"
    assert xcoms["model.jaffle.skipped_on_purpose"]["outcome"] == "skipped"
    assert_one_call_for_each_node(airflow, run_id, xcoms.keys() - {RUN})
    assert "amount_in_euros" in log
    assert "dbt ended with exit code 1: model.jaffle.broken_on_purpose" in log
    assert log.count("Done. PASS=") == 1


def test_exit_code_99_skips_the_task(airflow: Airflow) -> None:
    run_id, state = airflow.run("operator", {"command": "bash -c 'exit 99'"})
    assert state == "success"
    assert airflow.ti("operator", run_id, TASK)["state"] == "skipped"


def test_a_mapped_task(airflow: Airflow) -> None:
    run_id, state = airflow.run("operator_mapped")
    assert state == "success", airflow.task_log("operator_mapped", run_id, TASK)
    for index, seed in enumerate(("raw_orders", "raw_customers")):
        found = airflow.xcoms("operator_mapped", run_id, TASK, map_index=index)
        assert f"seed.jaffle.{seed}" in found


def assert_interrupted(airflow: Airflow, run_id: str) -> None:
    """The records of the nodes have arrived, and no process of their dbt is left."""
    log = airflow.whole_log("operator_timeout", run_id, TASK)
    xcoms = airflow.xcoms("operator_timeout", run_id, TASK)
    assert xcoms.keys() == {RUN, *SLOW}, log
    assert {xcoms[node]["outcome"] for node in SLOW} == {"interrupted"}, log
    assert xcoms[RUN]["state"] in ("finished", "died")
    assert processes_left(f"AIRFLOW_CTX_DAG_RUN_ID={run_id}", within=10.0) == {}


def assert_ended_by_itself(airflow: Airflow, run_id: str) -> None:
    """The task's last call has told Airflow its state. So its records came before."""
    assert airflow.wait("operator_timeout", run_id) == "failed"
    assert_interrupted(airflow, run_id)
    assert airflow.calls("operator_timeout", run_id, TASK)[-1].endswith("/state")


def slow_run(airflow: Airflow) -> tuple[str, int]:
    """A run whose dbt waits for two queries of a minute, and the process id of its relay."""
    run_id = airflow.trigger("operator_timeout")
    airflow.wait_for_log("operator_timeout", run_id, TASK, "START sql table model main.slow_two")
    relay, *_ = wait_until(lambda: relays_of(run_id), "a relay of the operator", pause=0.2)
    return run_id, relay


def test_a_timeout_leaves_the_records_of_interrupted_nodes(airflow: Airflow) -> None:
    assert_ended_by_itself(airflow, airflow.trigger("operator_timeout"))


def test_a_worker_that_is_told_to_stop_leaves_the_records_too(airflow: Airflow) -> None:
    """As in a pod that is deleted: Airflow passes the SIGTERM of the worker on to the task."""
    run_id, relay = slow_run(airflow)
    worker = parent_of(parent_of(relay))
    os.kill(worker, signal.SIGTERM)
    assert_ended_by_itself(airflow, run_id)


def test_a_task_that_a_person_marks_as_failed_leaves_the_records_too(airflow: Airflow) -> None:
    """The task has failed at once. Its worker hears of that at the next heartbeat."""
    run_id, _ = slow_run(airflow)
    airflow.mark_failed("operator_timeout", run_id, TASK)
    wait_until(
        lambda: airflow.xcom("operator_timeout", run_id, TASK, RUN)["state"] != "running",
        "the last record of the run",
        pause=0.5,
    )
    assert_interrupted(airflow, run_id)


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


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_what_a_killed_relay_leaves_is_pushed(airflow: Airflow) -> None:
    run_id, relay = slow_run(airflow)
    os.kill(relay, signal.SIGKILL)
    assert airflow.wait("operator_timeout", run_id) == "failed"
    own = airflow.xcom("operator_timeout", run_id, TASK, RUN)
    assert own["state"] == "died"
    assert "the relay was killed" in own["message"]
    assert processes_left(f"AIRFLOW_CTX_DAG_RUN_ID={run_id}", within=10.0) == {}
