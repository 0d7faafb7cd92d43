"""DAGs that run the command they are triggered with, so that a test states its own."""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

PROJECT_DIR = os.environ["DBT_PROJECT_DIR"]
COMMAND = "{{ dag_run.conf['command'] }}"

with DAG("command"):
    BashOperator(task_id="dbt", bash_command=COMMAND, cwd=PROJECT_DIR)
    EmptyOperator(task_id="results")

with DAG("command_twice"):
    BashOperator(
        task_id="dbt",
        bash_command=COMMAND,
        cwd=PROJECT_DIR,
        retries=1,
        retry_delay=timedelta(seconds=0),
    )
    EmptyOperator(task_id="results")

with DAG("command_timeout"):
    # Long enough for dbt to have started its queries on a loaded machine.
    BashOperator(
        task_id="dbt",
        bash_command=COMMAND,
        cwd=PROJECT_DIR,
        execution_timeout=timedelta(seconds=25),
    )

with DAG("command_mapped"):
    # One at a time: an Airflow on SQLite bears one REST writer, and DuckDB one process.
    BashOperator.partial(task_id="dbt", cwd=PROJECT_DIR, max_active_tis_per_dagrun=1).expand(
        bash_command=[
            "dbt-relay run --map-index {{ ti.map_index }} -- dbt seed --select " + seed
            for seed in ("raw_customers", "raw_orders")
        ]
    )
