"""What every Airflow must run: the operator and the group in each mode, a retry, a mapped task."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG

from dbt_relay.provider import DbtNodeSensor, DbtRelayOperator, dbt_task_group

PROJECT = os.environ["DBT_PROJECT_DIR"]
FLAKY = str(Path(PROJECT).with_name("flaky"))
MODES = {
    "deferred": {"deferrable": True},
    "poke": {"deferrable": False, "mode": "poke"},
    "reschedule": {"deferrable": False, "mode": "reschedule"},
}


def env(database: str) -> dict[str, str]:
    """The operator needs no setting: it has none of a relay's.

    Each has a target folder of its own, since two dbts of v2 at once disturb each other in one.
    """
    own = {
        "DBT_PROJECT_DIR": ".",
        "DBT_TARGET_PATH": f"target/{database}",
        "JAFFLE_DUCKDB": f"target/{database}.duckdb",
    }
    return {name: "" for name in os.environ if name.startswith("DBT_RELAY_")} | own


with DAG("modes", schedule=None):
    for mode, how in MODES.items():
        dbt_task_group(
            manifest=f"{FLAKY}/manifest.json",
            group_id=mode,
            command="dbt build",
            cwd=FLAKY,
            select="+after_flaky",
            assets=True,
            producer_options={"env": env(mode)},
            **how,
        )

with DAG("retry", schedule=None):
    DbtRelayOperator(
        task_id="dbt",
        command="dbt build",
        select="+after_flaky",
        cwd=FLAKY,
        env=env("retry"),
        retries=1,
        retry_delay=timedelta(seconds=0),
    )

with DAG("mapped", schedule=None):
    DbtRelayOperator.partial(
        task_id="dbt",
        cwd=PROJECT,
        env=env("mapped"),
        max_active_tis_per_dagrun=1,
    ).expand(command=[f"dbt seed --select {seed}" for seed in ("raw_orders", "raw_customers")])
    DbtNodeSensor.partial(
        task_id="raw_orders",
        unique_id="seed.jaffle.raw_orders",
        producer_task_id="dbt",
        deferrable=True,
        on_missing="skip",
    ).expand(producer_map_index=[0, 1])
