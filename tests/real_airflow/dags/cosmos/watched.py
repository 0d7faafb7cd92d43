"""A producer that is ours, and the consumers that Astronomer Cosmos makes for its own.

In a folder of its own, from where the one test that needs it takes it: to parse it is to import
Cosmos, which takes five seconds of CPU.
"""

from __future__ import annotations

import os
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG
from cosmos.config import ProfileConfig
from cosmos.operators.watcher import (
    DbtRunWatcherOperator,
    DbtSeedWatcherOperator,
    DbtSnapshotWatcherOperator,
    DbtTestWatcherOperator,
)

PROJECT_DIR = os.environ["DBT_PROJECT_DIR"]
PROFILE = ProfileConfig("jaffle", "dev", profiles_yml_filepath=f"{PROJECT_DIR}/profiles.yml")


def consumer(kind: Any, task_id: str, unique_id: str, *, deferrable: bool) -> Any:
    """As Cosmos's own graph makes one."""
    return kind(
        task_id=task_id,
        project_dir=PROJECT_DIR,
        profile_config=PROFILE,
        producer_task_id="dbt",
        extra_context={"dbt_node_config": {"unique_id": unique_id}},
        poke_interval=1,
        deferrable=deferrable,
    )


with DAG("cosmos"):
    # Not before the deferrable consumers are deferred, so that their triggers are what reads.
    BashOperator(
        task_id="dbt",
        bash_command="until [ -e {{ dag_run.conf['go'] }} ]; do sleep 0.2; done; "
        "dbt-relay run --sink cosmos -- dbt build",
        cwd=PROJECT_DIR,
        priority_weight=20,
    )
    model, tests = DbtRunWatcherOperator, DbtTestWatcherOperator
    consumer(model, "deferred_orders", "model.jaffle.orders", deferrable=True)
    consumer(model, "deferred_skipped", "model.jaffle.skipped_on_purpose", deferrable=True)
    consumer(tests, "deferred_tests", "model.jaffle.customers", deferrable=True)
    consumer(model, "poking_broken", "model.jaffle.broken_on_purpose", deferrable=False)
    consumer(tests, "poking_tests", "model.jaffle.orders", deferrable=False)
    seed, snapshot = DbtSeedWatcherOperator, DbtSnapshotWatcherOperator
    consumer(seed, "poking_seed", "seed.jaffle.raw_orders", deferrable=False)
    consumer(snapshot, "poking_snapshot", "snapshot.jaffle.orders_snapshot", deferrable=False)
