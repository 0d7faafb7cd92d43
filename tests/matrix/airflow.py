"""dbt-relay in each Airflow: see `smoke.py`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from matrix.environments import CONSTRAINTS, ROOT, environment, versions
from matrix.smoke import CHECKS, running
from matrix.table import FAILED, results
from real_airflow.projects import inherited
from real_airflow.server import Server

HEAD = ("Airflow", "standard", "urllib3", "Python", "result")

_PINS = {
    "3.0": "airflow-3.0.txt",
    "3.1": "airflow-3.1.txt",
    "3.2": "airflow-3.2.txt",
    "3.3": "airflow.txt",
}
RELEASES = (*_PINS,)


def rows(releases: list[str]) -> list[list[str]]:
    return [_row(release) for release in releases]


def _row(release: str) -> list[str]:
    pins = CONSTRAINTS / _PINS[release]
    folder = environment(
        f"airflow-{release}", "--constraint", pins, "--editable", f"{ROOT}[airflow]"
    )
    packages = ("apache-airflow", "apache-airflow-providers-standard", "urllib3")
    with (
        tempfile.TemporaryDirectory(prefix="matrix-") as home,
        running(
            Server(folder / "bin/airflow", Path(home), inherited()), Path(sys.executable).parent
        ) as airflow,
    ):
        found = results(f"Airflow {release}", CHECKS, airflow)
        if any(FAILED in result for result in found):
            print(airflow.report(), file=sys.stderr)
    return [*versions(folder, *packages), ", ".join(found)]
