"""What an Airflow must be able to do with dbt-relay, each as a function that raises an error."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from real_airflow.airflow import Airflow
from real_airflow.projects import ROOT, deploy, flaky_project_in, project_in
from real_airflow.server import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
EXAMPLE = ROOT / "examples/airflow/dbt_build.py"
GROUPS = ("deferred", "poke", "reschedule")
RUN = "dbt_relay_run"


@contextmanager
def running(server: Server, programs: list[Path]) -> Iterator[Airflow]:
    """An Airflow with the DAGs of the smoke. `programs` are folders with dbt and dbt-relay."""
    home = server.home
    path = os.pathsep.join([*map(str, programs), os.environ["PATH"]])
    project, flaky = project_in(home), flaky_project_in(home)
    for deployed in (project, flaky):
        deploy(deployed, path)
    server.environ |= {
        "PATH": path,
        "DBT_PROJECT_DIR": str(project),
        "DBT_RELAY_AIRFLOW_URL": server.url,
        "DBT_RELAY_AIRFLOW_USERNAME": server.relay_user,
        "DBT_RELAY_AIRFLOW_PASSWORD": server.passwords[server.relay_user],
    }
    server.dags.mkdir()
    for dag_file in (EXAMPLE, *HERE.glob("dags/*.py")):
        shutil.copy(dag_file, server.dags)
    try:
        server.start()
        airflow = Airflow(server, project, flaky)
        for dag_id in ("dbt_build", "modes", "retry", "mapped"):
            airflow.wait_for_dag(dag_id)
        yield airflow
    finally:
        server.stop()


def rest(airflow: Airflow) -> None:
    """A BashOperator whose records come by REST, and a task downstream that reads one."""
    run_id, state = airflow.run("dbt_build")
    assert state == "success", airflow.whole_log("dbt_build", run_id, "dbt")
    assert airflow.xcom("dbt_build", run_id, "report", "return_value") == "success"
    assert airflow.xcom("dbt_build", run_id, "dbt", RUN)["state"] == "finished"
    assert airflow.audit("dbt_build", run_id)


def modes(airflow: Airflow) -> None:
    """Groups that wait in each mode; then a failed node is cleared and its group turns green."""
    run_id, state = airflow.run("modes")
    assert state == "failed"
    found = _states(airflow, "modes", run_id)
    for group in GROUPS:
        expected = {
            "run_dbt": "failed",
            "stg_orders": "success",
            "orders": "success",
            "flaky": "failed",
            "after_flaky": "upstream_failed",
            "done": "failed",
        }
        states = {node: found[f"{group}.{node}"] for node in expected}
        assert states == expected, (group, states)
        log = airflow.whole_log("modes", run_id, f"{group}.flaky")
        assert "no_such_column" in log, log
        assert "Traceback" not in log, log
    assert airflow.audit("modes", run_id) == [], "nothing came over the REST API"
    assert airflow.links("modes", run_id, "deferred.flaky")["dbt's log"]
    certified = {e["unique_id"] for e in airflow.asset_events("modes", run_id).values()}
    assert {"seed.jaffle.raw_orders", "model.jaffle.orders"} <= certified
    airflow.clear("modes", run_id, "deferred.flaky", downstream=True)
    airflow.wait("modes", run_id)
    mended = _states(airflow, "modes", run_id)
    for node in ("flaky", "after_flaky", "done"):
        log = airflow.whole_log("modes", run_id, f"deferred.{node}")
        assert mended[f"deferred.{node}"] == "success", log
    record = airflow.xcom("modes", run_id, "deferred.run_dbt", "model.jaffle.flaky")
    assert (record["outcome"], record["renewed"]) == ("success", True)


def retry(airflow: Airflow) -> None:
    """The second try of an operator runs only the part of the run that had not succeeded."""
    resumes(airflow, "retry")


def resumes(airflow: Airflow, dag_id: str) -> None:
    """Whether the second try of the task `dbt` leaves out what had succeeded in the first."""
    run_id, state = airflow.run(dag_id)
    log = airflow.whole_log(dag_id, run_id, "dbt")
    assert state == "success", log
    xcoms = airflow.xcoms(dag_id, run_id, "dbt")
    assert xcoms.pop(RUN)["resumed_from"] == 1, log
    resumed = {key for key, record in xcoms.items() if record.get("resumed_from") == 1}
    assert "model.jaffle.orders" in resumed, log
    assert xcoms.keys() - resumed == {"model.jaffle.flaky", "model.jaffle.after_flaky"}


def mapped(airflow: Airflow) -> None:
    """Each instance of a mapped operator has its own records, which mapped sensors find."""
    run_id, state = airflow.run("mapped")
    assert state == "success"
    for index, seed in enumerate(("raw_orders", "raw_customers")):
        xcoms = airflow.xcoms("mapped", run_id, "dbt", map_index=index)
        assert xcoms.keys() == {f"seed.jaffle.{seed}", RUN}
    tasks = airflow.tis("mapped", run_id)
    sensors = {t["map_index"]: t["state"] for t in tasks if t["task_id"] == "raw_orders"}
    assert sensors == {0: "success", 1: "skipped"}


CHECKS = (rest, modes, retry, mapped)


def _states(airflow: Airflow, dag_id: str, run_id: str) -> dict[str, str]:
    return {task["task_id"]: task["state"] for task in airflow.tis(dag_id, run_id)}
