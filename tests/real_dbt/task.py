"""The attempts of an Airflow task that runs dbt, without an Airflow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from real_dbt.project import Project


class Task:
    """A task instance of an Airflow that is not there: its attempts share a journal."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.attempt = 0

    def try_once(self, *command: str) -> list[str]:
        """Run the next attempt; what the relay and dbt said on stderr and stdout."""
        self.attempt += 1
        done = self.project.run(
            *("dbt-relay", "run", "--resume", "--", *command),
            AIRFLOW_CTX_DAG_ID="d",
            AIRFLOW_CTX_DAG_RUN_ID="r",
            AIRFLOW_CTX_TASK_ID="t",
            AIRFLOW_CTX_TRY_NUMBER=str(self.attempt),
            DBT_RELAY_STATE_DIR=str(self.project.root / "state"),
        )
        return [*done.stderr.splitlines(), *done.stdout.splitlines()]

    def nodes(self) -> dict[str, dict[str, Any]]:
        """The newest attempt's records."""
        state = str(self.project.root / "state")
        done = self.project.run("dbt-relay", "show", "--json", "--state-dir", state)
        records = map(json.loads, done.stdout.splitlines())
        return {r["unique_id"]: r for r in records if "unique_id" in r}

    def ran(self) -> set[str]:
        """What dbt ran in the newest attempt."""
        return {u for u, record in self.nodes().items() if "resumed_from" not in record}
