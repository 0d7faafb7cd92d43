"""Runs with the Python of an Airflow, without its servers."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
AIRFLOW = Path(os.environ.get("DBT_RELAY_TEST_AIRFLOW") or ROOT / ".venv-airflow/bin/airflow")


def printed(arguments: list[str | Path], environ: Mapping[str, str]) -> Any:
    """The JSON in the last line that Airflow's Python prints for these arguments."""
    done = subprocess.run(
        [AIRFLOW.with_name("python"), *arguments],
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def own_environ(home: Path, executor: str = "LocalExecutor") -> dict[str, str]:
    """An environment for Airflow's Python in which `home` is Airflow's folder."""
    environ = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name}
    return {**environ, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__EXECUTOR": executor}


def groups(calls: dict[str, str], home: Path, executor: str = "LocalExecutor") -> dict[str, Any]:
    """The tasks that each call makes, by task_id, or the text of its error."""
    script = Path(__file__).with_name("show.py")
    return printed([script, json.dumps(calls)], own_environ(home, executor))
