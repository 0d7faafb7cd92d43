"""Makes task groups with the Python of an Airflow, and prints their tasks as JSON.

    python show.py '{"name": "dbt_task_group(manifest=…)"}'

Prints for each name the tasks by task_id, or the text of the error. Names of modules and functions
that a call may use are imported here.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from airflow.sdk import DAG, Asset  # noqa: F401 - for the calls

from dbt_relay.provider import dbt_task_group  # noqa: F401 - for the calls

FIELDS = (
    "pool", "pool_slots", "queue", "executor", "owner", "priority_weight", "weight_rule", "retries",
    "doc_md", "task_type", "deferrable", "task_display_name", "timeout", "node_name", "unique_id",
    "select", "command", "producer_task_id", "start_from_trigger", "run_again", "on_missing",
    "relay_options", "cwd", "vars", "full_refresh",
)  # fmt: skip


def shown(task: Any) -> dict[str, Any]:
    return {
        **{field: getattr(task, field, None) for field in FIELDS},
        "upstream": sorted(task.upstream_task_ids),
        "group": task.task_group.group_id,
        "rule": str(task.trigger_rule.value),
        "outlets": [asset.name for asset in task.outlets],
        "execution_timeout": task.execution_timeout and task.execution_timeout.total_seconds(),
        "retry_delay": task.retry_delay.total_seconds(),
    }


def main() -> None:
    found: dict[str, Any] = {}
    for name, call in json.loads(sys.argv[1]).items():
        with DAG("shown", schedule=None) as dag:
            try:
                eval(call)
                found[name] = {task.task_id: shown(task) for task in dag.tasks}
            except Exception as error:
                found[name] = f"{type(error).__name__}: {error}"
    print(json.dumps(found))


if __name__ == "__main__":
    main()
