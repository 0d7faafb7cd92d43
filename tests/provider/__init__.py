"""Runs with the Python of an Airflow, without its servers."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
AIRFLOW = Path(os.environ.get("DBT_RELAY_TEST_AIRFLOW") or ROOT / ".venv-airflow/bin/airflow")


def groups(calls: dict[str, str], home: Path, executor: str = "LocalExecutor") -> dict[str, Any]:
    """The tasks that each call makes, by task_id, or the text of its error."""
    environ = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name}
    done = subprocess.run(
        [AIRFLOW.with_name("python"), Path(__file__).with_name("show.py"), json.dumps(calls)],
        env={**environ, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__EXECUTOR": executor},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
