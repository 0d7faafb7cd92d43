"""What an Airflow in production does beside the smoke, each as a function that raises an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matrix.production_server import Production
from matrix.smoke import resumes

if TYPE_CHECKING:
    from pathlib import Path

    from real_airflow.airflow import Airflow

NODES = 400
TASKS = ("by_rest", "by_operator")
_PROJECT = """
name: many
version: "1.0.0"
profile: many
flags:
  send_anonymous_usage_stats: false
"""
_PROFILE = """
many:
  target: dev
  outputs:
    dev: {type: duckdb, path: many.duckdb, threads: 4}
"""


def projects_in(home: Path) -> None:
    """A dbt project with `NODES` models for each task of the DAG `many`."""
    for task in TASKS:
        models = home / "many" / task / "models"
        models.mkdir(parents=True)
        (models.parent / "dbt_project.yml").write_text(_PROJECT)
        (models.parent / "profiles.yml").write_text(_PROFILE)
        for number in range(NODES):
            (models / f"node_{number}.sql").write_text(f"select {number} as id")


def role(airflow: Airflow) -> None:
    """The role of the guide, and Op, may do all that the relay does."""
    resumes(airflow, "retry_by_rest")
    run_id, _ = airflow.run("mapped")
    task = ("--dag-id", "mapped", "--run-id", run_id, "--task-id", "dbt", "--map-index", "0")
    for user in (airflow.server.relay_user, "op"):
        done = airflow.relay("doctor", "--airflow-only", *task, user=user)
        lines = done.stdout.splitlines()
        assert lines, done.stderr
        assert all(line.startswith("ok ") for line in lines), done.stdout


def many(airflow: Airflow) -> None:
    """Records of 400 nodes by REST, and of 400 by an operator, arrive at the same time."""
    server = airflow.server
    assert isinstance(server, Production)
    run_id = airflow.trigger("many")
    state = airflow.wait("many", run_id, within=300.0)
    assert state == "success", [airflow.whole_log("many", run_id, t) for t in (*TASKS, "read_all")]
    read = airflow.xcom("many", run_id, "read_all", "return_value")
    assert read == dict.fromkeys(TASKS, NODES), read
    rest, operator = (airflow.ti("many", run_id, task) for task in TASKS)
    assert rest["start_date"] < operator["end_date"]
    assert operator["start_date"] < rest["end_date"]
    assert "deadlock detected" not in server.postgres.log, server.postgres.log


CHECKS = (role, many)
