"""The example DAG with a pod: Airflow's own operator makes it, and it runs as a plain process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .api import path_of

if TYPE_CHECKING:
    from .airflow import Airflow
    from .kubernetes import Kubernetes

RUN = "dbt_relay_run"
DAG = "kubernetes_pod"


def test_every_record_of_a_pod(airflow: Airflow, kubernetes: Kubernetes) -> None:
    token = airflow.api.token("user")
    kubernetes.secrets = {"dbt-relay": {"token": token}}
    run_id, state = airflow.run(DAG)
    assert state == "success", airflow.task_log(DAG, run_id, "dbt")

    (pod,) = kubernetes.pods.values()
    log = kubernetes.logs[pod["metadata"]["name"]].read_text()
    assert "Completed successfully" in log
    results = json.loads((kubernetes.files / "target/run_results.json").read_text())["results"]
    xcoms = airflow.xcoms(DAG, run_id, "results")
    run = xcoms.pop(RUN)
    assert len(xcoms) > 15
    assert xcoms.keys() == {result["unique_id"] for result in results}, log
    assert {record["attempt"] for record in (run, *xcoms.values())} == {1}
    assert run["state"] == "finished"
    assert airflow.xcom_keys(DAG, run_id, "dbt") == {"pod_name", "pod_namespace", RUN}
    assert airflow.ti(DAG, run_id, "dbt")["note"] == (
        f"dbt-relay: {len(xcoms)} nodes: {len(xcoms)} success"
    )

    assert token not in json.dumps([pod, airflow.ti(DAG, run_id, "dbt")])
    assert pod["spec"]["terminationGracePeriodSeconds"] == 45
    assert len(pod["spec"]["containers"]) == 1
    assert airflow.api.call("GET", path_of("importErrors")).body["total_entries"] == 0
