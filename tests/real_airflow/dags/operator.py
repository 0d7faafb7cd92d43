"""DAGs whose task runs dbt with the operator: no address and no credentials of Airflow."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG

from dbt_relay.provider import DbtRelayOperator

PROJECT = os.environ["DBT_PROJECT_DIR"]
CLEAN = {name: "" for name in os.environ if name.startswith("DBT_RELAY_")}

with DAG("operator", schedule=None):
    DbtRelayOperator(
        task_id="dbt",
        command="{{ dag_run.conf.get('command', 'dbt build') }}",
        exclude="{{ dag_run.conf.get('exclude', '') }}",
        cwd=PROJECT,
        env=CLEAN,
    )

with DAG("operator_timeout", schedule=None):
    DbtRelayOperator(
        task_id="dbt",
        command=["dbt", "build"],
        select="slow_one slow_two",
        vars={"slow": True},
        cwd=PROJECT,
        env={**CLEAN, "JAFFLE_DUCKDB": "target/slow.duckdb"},
        # Long enough for dbt to have started its queries on a loaded machine.
        execution_timeout=timedelta(seconds=25),
    )

with DAG("operator_flaky", schedule=None):
    DbtRelayOperator(
        task_id="dbt",
        command="dbt build",
        exclude=["tag:on_purpose"],
        cwd=str(Path(PROJECT).with_name("flaky")),
        env={**CLEAN, "DBT_PROJECT_DIR": "."},
        retries=1,
        retry_delay=timedelta(seconds=0),
    )

with DAG("operator_pods", schedule=None):
    # Each try has a journal of its own, as in a new pod.
    DbtRelayOperator(
        task_id="dbt",
        command="dbt build",
        exclude=["tag:on_purpose"],
        cwd=str(Path(PROJECT).with_name("flaky")),
        env={
            **CLEAN,
            "DBT_PROJECT_DIR": ".",
            "JAFFLE_DUCKDB": "target/pods.duckdb",
            "DBT_RELAY_STATE_DIR": "target/state-{{ run_id }}-{{ ti.try_number }}",
        },
        retries=1,
        retry_delay=timedelta(seconds=0),
    )

with DAG("operator_mapped", schedule=None):
    DbtRelayOperator.partial(
        task_id="dbt",
        cwd=PROJECT,
        env={**CLEAN, "JAFFLE_DUCKDB": "target/mapped.duckdb"},
        max_active_tis_per_dagrun=1,
    ).expand(command=[f"dbt seed --select {seed}" for seed in ("raw_orders", "raw_customers")])
