"""dbt projects for a real Airflow: copies of the example, one of them with a model that fails."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
FLAKY = """
select {{ 'no_such_column' if env_var('AIRFLOW_CTX_TRY_NUMBER', '1') == '1' else '1' }} as id
from {{ ref('orders') }}
"""


def project_in(folder: Path, name: str = "jaffle") -> Path:
    """A copy of the example project."""
    ignored = shutil.ignore_patterns("target", "logs")
    return shutil.copytree(ROOT / "examples/jaffle", folder / name, ignore=ignored)


def flaky_project_in(folder: Path) -> Path:
    """One with a model that fails in a task's first try, and another that needs it."""
    project = project_in(folder, "flaky")
    (project / "models/marts/flaky.sql").write_text(FLAKY)
    (project / "models/marts/after_flaky.sql").write_text("select * from {{ ref('flaky') }}")
    return project


def deploy(project: Path, path: str) -> None:
    """Leave the manifest, as the example says."""
    environ = {**inherited(), "PATH": path, "DBT_PROJECT_DIR": str(project)}
    command = "dbt --quiet parse && cp target/manifest.json ."
    subprocess.run(["bash", "-c", command], cwd=project, env=environ, check=True, timeout=120)


def inherited() -> dict[str, str]:
    """This process's environment without what would configure Airflow, dbt or the relay."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW", "_AIRFLOW", "DBT_", "JAFFLE_"))
    }
