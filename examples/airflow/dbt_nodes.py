"""One task runs dbt; each node has a task of its own that waits for it and ends as it did.

The workers need what dbt_build.py lists. Airflow's own environment needs `pip install '.[airflow]'`
in this repository, and a triggerer, in which the tasks wait.

Copy the manifest when you deploy (`dbt parse && cp target/manifest.json .`): every dbt run
overwrites the one in target/, and Airflow may parse the DAG at that moment.
"""

from __future__ import annotations

import os

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

from dbt_relay.provider import dbt_task_group

PROJECT = os.environ.get("DBT_PROJECT_DIR", "/opt/airflow/dbt/jaffle")
LEFT_OUT = "tag:slow tag:on_purpose"

with DAG("dbt_nodes", schedule=None, catchup=False, tags=["dbt"]):
    dbt_task_group(
        manifest=f"{PROJECT}/manifest.json",
        producer=BashOperator(
            task_id="run_dbt",
            bash_command=f"dbt-relay run --resume --note -- dbt build --exclude {LEFT_OUT}",
            cwd=PROJECT,
            retries=1,
        ),
        exclude=LEFT_OUT,
        # Clear the task of a failed node: this command builds that node alone.
        fallback="dbt-relay run -- dbt build --select '{{ task.node_name }}'",
        fallback_cwd=PROJECT,
    )
