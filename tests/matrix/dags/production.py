"""What an Airflow in production runs: records by REST and by the operator at the same time, and a
retry by REST."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, get_current_context, task

from dbt_relay import read_record
from dbt_relay.provider import DbtRelayOperator

PROJECT = Path(os.environ["DBT_PROJECT_DIR"])
MANY = PROJECT.with_name("many")
HERE = {"DBT_PROJECT_DIR": "."}
TASKS = ("by_rest", "by_operator")

with DAG("many", schedule=None):
    rest = BashOperator(
        task_id="by_rest",
        bash_command="dbt-relay run --workers 4 -- dbt run",
        cwd=str(MANY / "by_rest"),
        env=HERE,
        append_env=True,
    )
    operator = DbtRelayOperator(
        task_id="by_operator", command="dbt run", cwd=str(MANY / "by_operator"), env=HERE
    )

    @task
    def read_all() -> dict[str, int]:
        """How many records of each task say what dbt says; raises if one does not."""
        counts: dict[str, int] = {}
        ti = get_current_context()["ti"]
        for task_id in TASKS:
            results = json.loads((MANY / task_id / "target/run_results.json").read_text())[
                "results"
            ]
            expected = {r["unique_id"]: r["status"] for r in results}
            records = {key: ti.xcom_pull(task_ids=task_id, key=key) for key in expected}
            found = {key: (read_record(r) or {}).get("status") for key, r in records.items()}
            wrong = {key: status for key, status in found.items() if status != expected[key]}
            assert not wrong, (task_id, wrong)
            counts[task_id] = len(found)
        return counts

    [rest, operator] >> read_all()

with DAG("retry_by_rest", schedule=None):
    BashOperator(
        task_id="dbt",
        bash_command="dbt-relay run --resume -- dbt build --select +after_flaky",
        cwd=str(PROJECT.with_name("flaky")),
        env={**HERE, "JAFFLE_DUCKDB": "target/retry_by_rest.duckdb"},
        append_env=True,
        retries=1,
        retry_delay=timedelta(seconds=0),
    )
