"""Build a dbt project in a pod of its own; every node's result is an XCom of this DAG run.

The image needs `dbt-relay`, dbt with its adapter, and the project as its working directory. The
cluster needs a Secret with a token for Airflow's API, and a way from the pod to that API:

    kubectl create secret generic dbt-relay --from-literal=token=...

docs/how-to/outside-the-worker.md says what else to allow, and what happens to a killed pod.
"""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.secret import Secret
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import dag

# On a worker Airflow tells the relay its task. In a pod these variables do.
IDENTITY = {
    "DBT_RELAY_AIRFLOW_URL": os.environ.get("DBT_RELAY_AIRFLOW_URL", "http://airflow:8080"),
    "DBT_RELAY_DAG_ID": "{{ dag.dag_id }}",
    "DBT_RELAY_RUN_ID": "{{ run_id }}",
    "DBT_RELAY_TASK_ID": "{{ ti.task_id }}",
    "DBT_RELAY_TRY_NUMBER": "{{ ti.try_number }}",
    "DBT_RELAY_MAP_INDEX": "{{ ti.map_index }}",
}


@dag(schedule=None, catchup=False, tags=["dbt"])
def kubernetes_pod() -> None:
    # This task holds the records. A retry deletes the XComs of `dbt` but not of this task, and a
    # new pod has no journal: it reads here what had succeeded.
    results = EmptyOperator(task_id="results")

    build = KubernetesPodOperator(
        task_id="dbt",
        name="dbt",
        namespace=os.environ.get("DBT_NAMESPACE", "dbt"),
        image=os.environ.get("DBT_IMAGE", "registry.example.com/dbt:latest"),
        cmds=["dbt-relay", "run", "--resume", "--note"],
        arguments=[
            "--xcom-task-id",
            "results",
            "--",
            "dbt",
            "build",
            "--exclude",
            "tag:on_purpose",
        ],
        env_vars=IDENTITY,
        # A reference: the token is neither in the DAG nor in Airflow's rendered templates.
        secrets=[Secret("env", "DBT_RELAY_AIRFLOW_TOKEN", "dbt-relay", "token")],
        retries=1,
        retry_delay=timedelta(minutes=1),
        # The records come over the API: there is no log to tail, and no sidecar for a return value.
        # The pod keeps dbt's log for `kubectl logs`; a failed pod is not deleted.
        get_logs=False,
        do_xcom_push=False,
        on_finish_action="delete_succeeded_pod",
        # The relay needs less: 10 s for dbt (`--grace`), then 4 s.
        termination_grace_period=45,
    )

    build >> results


kubernetes_pod()
