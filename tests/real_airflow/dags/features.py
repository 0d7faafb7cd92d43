"""Asset events and the form of a manual run."""

from __future__ import annotations

import os

from airflow.sdk import DAG

from dbt_relay.provider import DbtRelayOperator, dbt_task_group

PROJECT = os.environ["DBT_PROJECT_DIR"]
CLEAN = {name: "" for name in os.environ if name.startswith("DBT_RELAY_")}

with DAG("assets", schedule=None):
    dbt_task_group(
        manifest=f"{PROJECT}/manifest.json",
        command="dbt build",
        cwd=PROJECT,
        select="+orders",
        assets=True,
        producer_options={"env": {**CLEAN, "JAFFLE_DUCKDB": "target/assets.duckdb"}},
    )

with DAG("assets_operator", schedule=None):
    DbtRelayOperator(
        task_id="dbt",
        command="dbt build",
        select="stg_orders raw_orders",
        cwd=PROJECT,
        env={**CLEAN, "JAFFLE_DUCKDB": "target/assets_operator.duckdb"},
        assets="jaffle",
    )

with DAG("form", schedule=None):
    dbt_task_group(
        manifest=f"{PROJECT}/manifest.json",
        command="dbt build",
        cwd=PROJECT,
        select="+orders",
        params=True,
        producer_options={"env": {**CLEAN, "JAFFLE_DUCKDB": "target/form.duckdb"}},
    )
