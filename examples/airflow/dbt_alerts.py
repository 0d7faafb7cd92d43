"""Tell each owner what failed, in one message for each run, and when it is green again.

The workers need what dbt_nodes.py needs. `FileNotifier` stands for a notifier of Airflow's
providers, such as SlackWebhookNotifier or SmtpNotifier, which is called in the same way.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.sdk import DAG, BaseNotifier, get_current_context, teardown

from dbt_relay.provider import dbt_task_group, tell_owners

if TYPE_CHECKING:
    from airflow.sdk import Context

PROJECT = os.environ.get("DBT_PROJECT_DIR", "/opt/airflow/dbt/jaffle")
MESSAGES = Path(os.environ.get("DBT_ALERTS_FILE", "/tmp/dbt_alerts.txt"))  # noqa: S108


class FileNotifier(BaseNotifier):
    """Appends a message to a file."""

    template_fields = ("message",)

    def __init__(self, message: str) -> None:
        super().__init__()
        self.message = message

    def notify(self, context: Context) -> None:
        with MESSAGES.open("a") as file:
            file.write(f"{context['run_id']} {self.message}\n")


# A teardown runs after all tasks before it have ended, however they did, and does not decide the
# state of the DAG run.
@teardown
def tell() -> None:
    context = get_current_context()

    def send(owner: str, message: str) -> None:
        FileNotifier(f"to {owner}: {message}")(context)

    tell_owners(context, send)


# One run at a time, because each run compares itself with what the run before has told.
with DAG("dbt_alerts", schedule=None, catchup=False, max_active_runs=1, tags=["dbt"]):
    nodes = dbt_task_group(
        manifest=f"{PROJECT}/manifest.json",
        command="dbt build",
        cwd=PROJECT,
        select="+skipped_on_purpose",
        # Each node's task also tells of its own failure: for a few nodes that matters.
        on_failure_callback=FileNotifier("{{ dbt_record.unique_id }}: {{ dbt_record.message }}"),
        owner="shop",
    )
    [*nodes.iter_tasks()] >> tell()
