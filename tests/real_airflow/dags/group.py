"""Task groups whose tasks need no address and no credentials of Airflow."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

from dbt_relay.provider import DbtRelayOperator, dbt_task_group

PROJECTS = Path(os.environ["DBT_PROJECT_DIR"]).parent
CLEAN = {name: "" for name in os.environ if name.startswith("DBT_RELAY_")}
ENV = {**CLEAN, "DBT_PROJECT_DIR": ".", "JAFFLE_DUCKDB": "target/jaffle.duckdb"}


def group_of(dag_id: str, **options: Any) -> None:
    """A group with a copy of the project of its own, so that DAGs may run beside each other."""
    project = PROJECTS / dag_id
    options.setdefault("producer_options", {}).setdefault("env", ENV)
    dbt_task_group(
        manifest=project / "manifest.json", command="dbt build", cwd=str(project), **options
    )


with DAG("group", schedule=None):
    group_of("group", exclude="tag:slow")

with DAG("group_folders", schedule=None):
    group_of("group_folders", select="+orders", group_by="folder", tests="group")

with DAG("group_flaky", schedule=None):
    group_of("group_flaky", exclude="tag:slow tag:on_purpose")

with DAG("group_cleared", schedule=None):
    group_of("group_cleared", select="+after_flaky")

with DAG("group_retries", schedule=None):
    retries = {"retries": 1, "retry_delay": timedelta(seconds=0)}
    group_of("group_retries", select="+broken_on_purpose", producer_options=retries)

with DAG("group_assets", schedule=None):
    group_of("group_assets", select="+orders", assets=True)

with DAG("group_form", schedule=None, max_active_runs=1):
    group_of("group_form", select="+orders", params=True)

with DAG("operator_assets", schedule=None, max_active_runs=1):
    DbtRelayOperator(
        task_id="dbt",
        command="dbt build",
        select="stg_orders raw_orders",
        cwd=str(PROJECTS / "operator_assets"),
        env=ENV,
        assets="jaffle",
        manifest="{{ dag_run.conf.get('manifest', '') }}",
    )
