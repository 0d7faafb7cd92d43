"""A DAG whose worker has no variable for Airflow's address: a connection of Airflow has it."""

from __future__ import annotations

import os

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

from dbt_relay.provider import use_connection

UNSET = {name: "" for name in os.environ if name.startswith("DBT_RELAY_")}

with DAG("connection", schedule=None):
    BashOperator(
        task_id="dbt",
        bash_command="dbt-relay run -- dbt seed --select raw_orders",
        cwd=os.environ["DBT_PROJECT_DIR"],
        env={**UNSET, "JAFFLE_DUCKDB": "target/connection.duckdb"},
        append_env=True,
        pre_execute=use_connection("relay_to_airflow"),
    )
