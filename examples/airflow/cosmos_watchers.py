"""The watchers of Astronomer Cosmos 1.15, with dbt-relay in place of Cosmos's producer.

`DbtTaskGroup` and `DbtDag` always make a producer of their own, so this DAG makes the watchers
itself: one for each model, seed and snapshot of dbt's manifest. A watcher that runs its node again
needs dbt in the environment of Airflow, or `dbt_executable_path`.
"""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG
from cosmos.config import ProfileConfig
from cosmos.operators.watcher import (
    DbtRunWatcherOperator,
    DbtSeedWatcherOperator,
    DbtSnapshotWatcherOperator,
)

PROJECT = os.environ.get("DBT_PROJECT_DIR", "/opt/airflow/dbt/jaffle")
PROFILE = ProfileConfig("jaffle", "dev", profiles_yml_filepath=f"{PROJECT}/profiles.yml")
WATCHERS = {
    "model": DbtRunWatcherOperator,
    "seed": DbtSeedWatcherOperator,
    "snapshot": DbtSnapshotWatcherOperator,
}
LEFT_OUT = {"slow", "on_purpose"}

manifest = json.loads(Path(PROJECT, "manifest.json").read_text())
nodes = {
    unique_id: node
    for unique_id, node in manifest["nodes"].items()
    if node["resource_type"] in WATCHERS and not LEFT_OUT.intersection(node["tags"])
}

with DAG("cosmos_watchers", schedule=None, catchup=False, tags=["dbt"]):
    BashOperator(
        task_id="dbt",
        bash_command="dbt-relay run --sink cosmos -- dbt build --exclude tag:slow tag:on_purpose",
        cwd=PROJECT,
        priority_weight=20,  # it starts before its watchers
    )
    watchers = {
        unique_id: WATCHERS[node["resource_type"]](
            task_id=node["name"],
            project_dir=PROJECT,
            profile_config=PROFILE,
            producer_task_id="dbt",
            extra_context={"dbt_node_config": {"unique_id": unique_id}},
            retries=1,  # Airflow 3.3 may fail to start a task in the moment in which it queues it
            retry_delay=timedelta(seconds=10),
        )
        for unique_id, node in nodes.items()
    }
    for unique_id, watcher in watchers.items():
        for parent in manifest["parent_map"][unique_id]:
            if parent in watchers:
                watchers[parent] >> watcher
