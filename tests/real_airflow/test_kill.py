"""What is left when Airflow ends the task: records that say so, and no dbt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.census import processes_left, processes_with

if TYPE_CHECKING:
    from .airflow import Airflow

TASK = "dbt"
RUN = "dbt_relay_run"
SLOW = ("model.jaffle.slow_one", "model.jaffle.slow_two")


def slow_command(marker: str) -> str:
    """Two queries of minutes; every process of it carries `marker` in its environment."""
    return (
        f"MARKER={marker} JAFFLE_DUCKDB=target/slow.duckdb"
        " dbt-relay run --note -- dbt run --select tag:slow --vars 'slow: true'"
    )


def assert_ended_well(airflow: Airflow, dag_id: str, run_id: str, marker: str) -> None:
    """No process of the command is left, and its last words have arrived."""
    assert processes_left(marker, within=20.0) == {}
    xcoms = airflow.xcoms(dag_id, run_id, TASK)
    assert xcoms.keys() == {RUN, *SLOW}
    assert {xcoms[key]["outcome"] for key in SLOW} == {"interrupted"}
    assert xcoms[RUN]["state"] in {"finished", "died"}
    assert "2 interrupted" in airflow.ti(dag_id, run_id, TASK)["note"]
    assert airflow.wait(dag_id, run_id) == "failed"


def test_a_task_marked_failed(airflow: Airflow, marker: str) -> None:
    run_id = airflow.trigger("command", {"command": slow_command(marker)})
    airflow.wait_for_log("command", run_id, TASK, "START sql table model main.slow_two")
    assert processes_with(marker)

    airflow.mark_failed("command", run_id, TASK)

    airflow.wait_for_log("command", run_id, TASK, "Sending SIGTERM", within=20.0)
    assert_ended_well(airflow, "command", run_id, marker)


def test_a_task_that_outlives_its_execution_timeout(airflow: Airflow, marker: str) -> None:
    """Airflow sends SIGTERM and closes the task's stdout 60 to 90 ms later."""
    run_id = airflow.trigger("command_timeout", {"command": slow_command(marker)})
    airflow.wait_for_log("command_timeout", run_id, TASK, "START sql table model main.slow_two")
    assert processes_with(marker)

    airflow.wait_for_log("command_timeout", run_id, TASK, "Sending SIGTERM", within=60.0)
    assert_ended_well(airflow, "command_timeout", run_id, marker)
