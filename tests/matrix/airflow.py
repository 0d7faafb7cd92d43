"""dbt-relay in each Airflow: see `smoke.py`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from matrix.dbt import installed
from matrix.environments import CONSTRAINTS, ROOT, environment, versions
from matrix.smoke import CHECKS, running
from matrix.table import FAILED, results
from real_airflow.projects import inherited
from real_airflow.server import Server

HEAD = ("Airflow", "standard", "urllib3", "dbt", "Python", "result")

_PINS = {
    "3.0": "airflow-3.0.txt",
    "3.1": "airflow-3.1.txt",
    "3.2": "airflow-3.2.txt",
    "3.3": "airflow.txt",
}
_WITH_V2 = "-dbt-v2"
RELEASES = (*_PINS, f"3.3{_WITH_V2}")


def row(name: str) -> list[str]:
    release = name.removesuffix(_WITH_V2)
    pins = CONSTRAINTS / _PINS[release]
    folder = environment(
        f"airflow-{release}", "--constraint", pins, "--editable", f"{ROOT}[airflow]"
    )
    own = Path(sys.executable).parent
    programs, dbt = [own], versions(own.parent, "dbt-core")[0]
    if name != release:
        of_v2, program = installed("v2")
        programs, dbt = [program.parent, own], versions(of_v2, "dbt")[0]
    with (
        tempfile.TemporaryDirectory(prefix="matrix-") as home,
        running(Server(folder / "bin/airflow", Path(home), inherited()), programs) as airflow,
    ):
        found = results(f"Airflow {release} with dbt {dbt}", CHECKS, airflow)
        if FAILED in found:
            print(airflow.report(), file=sys.stderr)
    packages = ("apache-airflow", "apache-airflow-providers-standard", "urllib3")
    *exact, python = versions(folder, *packages)
    return [*exact, dbt, python, found]
