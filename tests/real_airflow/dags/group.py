"""Task groups whose tasks need no address and no credentials of Airflow."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG

from dbt_relay.provider import dbt_task_group

PROJECT = os.environ["DBT_PROJECT_DIR"]
FLAKY = str(Path(PROJECT).with_name("flaky"))
CLEAN = {name: "" for name in os.environ if name.startswith("DBT_RELAY_")}

with DAG("group", schedule=None):
    dbt_task_group(
        manifest=f"{PROJECT}/manifest.json",
        command="dbt build",
        cwd=PROJECT,
        exclude="tag:slow",
        producer_options={"env": {**CLEAN, "JAFFLE_DUCKDB": "target/group.duckdb"}},
    )

with DAG("group_folders", schedule=None):
    dbt_task_group(
        manifest=f"{PROJECT}/manifest.json",
        command="dbt build",
        cwd=PROJECT,
        select="+orders",
        group_by="folder",
        tests="group",
        producer_options={"env": {**CLEAN, "JAFFLE_DUCKDB": "target/group_folders.duckdb"}},
    )

with DAG("group_flaky", schedule=None):
    dbt_task_group(
        manifest=f"{FLAKY}/manifest.json",
        command="dbt build",
        cwd=FLAKY,
        exclude="tag:slow tag:on_purpose",
        producer_options={
            "env": {**CLEAN, "DBT_PROJECT_DIR": ".", "JAFFLE_DUCKDB": "target/group.duckdb"}
        },
    )

with DAG("group_retries", schedule=None):
    dbt_task_group(
        manifest=f"{PROJECT}/manifest.json",
        command="dbt build",
        cwd=PROJECT,
        select="+broken_on_purpose",
        producer_options={
            "env": {**CLEAN, "JAFFLE_DUCKDB": "target/group_retries.duckdb"},
            "retries": 1,
            "retry_delay": timedelta(seconds=0),
        },
    )
