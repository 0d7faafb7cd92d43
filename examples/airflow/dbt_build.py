"""Build a dbt project in one task; every node's result is an XCom of that task.

Airflow's own environment needs dbt-relay too, for `read_record`. The Airflow workers need, in their
environment:

    PATH                        leads to `dbt-relay` and `dbt` (a virtual environment of their own)
    DBT_PROJECT_DIR             the folder with dbt_project.yml and profiles.yml
    DBT_RELAY_AIRFLOW_URL       Airflow's API server as a worker reaches it: http://airflow:8080
    DBT_RELAY_AIRFLOW_USERNAME  a user who may create and edit XComs
    DBT_RELAY_AIRFLOW_PASSWORD  or DBT_RELAY_AIRFLOW_TOKEN, or …_TOKEN_FILE, in place of both
"""

from __future__ import annotations

import os

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag, get_current_context, task

from dbt_relay import read_record


@dag(schedule=None, catchup=False, tags=["dbt"])
def dbt_build() -> None:
    # The task ends with dbt's exit code: 0 is success, any other code fails the task. Some nodes of
    # the example project fail on purpose; without `--exclude` they show what a failure looks like.
    # A retry continues where dbt stopped: nodes that had succeeded are published, and do not run.
    build = BashOperator(
        task_id="dbt",
        bash_command="dbt-relay run --resume -- dbt build --exclude tag:on_purpose",
        retries=1,
        cwd=os.environ.get("DBT_PROJECT_DIR", "/opt/airflow/dbt/jaffle"),
    )

    # A build that failed leaves records too. This task then does not run: as the last task it would
    # decide the state of the whole DAG run, and turn it green.
    @task
    def report() -> str:
        node = "model.jaffle.orders"
        record = read_record(get_current_context()["ti"].xcom_pull(task_ids="dbt", key=node))
        if record is None:
            # A node that dbt did not select, or never reached, has no record.
            print(f"{node}: not part of this run")
            return "absent"
        # `status` is dbt's own word. Every record has an `outcome`: success, warning, failure,
        # skipped or interrupted.
        print(f"{node}: {record['status']}: {record.get('message', 'no message')}")
        return record["outcome"]

    build >> report()


dbt_build()
