"""Run dbt-relay in each Airflow: `python tests/matrix [3.0 3.3 …]`. Prints a table for the docs."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import traceback
from datetime import datetime, timezone
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[1])

from matrix.smoke import CHECKS, running

ROOT = Path(__file__).parents[2]
CONSTRAINTS = {
    "3.0": "airflow-3.0.txt",
    "3.1": "airflow-3.1.txt",
    "3.2": "airflow-3.2.txt",
    "3.3": "airflow.txt",
}
HEAD = "| date | Airflow | Python | standard | urllib3 | result |\n|---|---|---|---|---|---|"
FOUND = """
import json, platform
from importlib.metadata import version
names = ("apache-airflow", "apache-airflow-providers-standard", "urllib3")
print(json.dumps([version(names[0]), platform.python_version(), *map(version, names[1:])]))
"""


def environment(version: str) -> Path:
    """The folder with the programs of an environment with this Airflow. Makes what is missing."""
    folder = ROOT / ".venv-matrix" / f"airflow-{version}"
    uv = Path(sys.executable).with_name("uv")
    if not folder.exists():
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    constraints = ROOT / "tests/constraints" / CONSTRAINTS[version]
    install = [uv, "pip", "install", "--quiet", "--python", folder / "bin/python"]
    install += ["--constraint", constraints, "--editable", f"{ROOT}[airflow]"]
    subprocess.run(install, check=True)
    return folder / "bin"


def row(version: str) -> tuple[str, bool]:
    """The row of the table for this Airflow, and whether all went well."""
    programs = environment(version)
    found = subprocess.run([programs / "python", "-c", FOUND], capture_output=True, check=True)
    results: list[str] = []
    with (
        tempfile.TemporaryDirectory(prefix="matrix-") as home,
        running(programs / "airflow", Path(home), Path(sys.executable).parent) as airflow,
    ):
        for check in CHECKS:
            began_at = time.monotonic()
            try:
                check(airflow)
            except Exception as error:
                traceback.print_exc()
                print(airflow.report(), file=sys.stderr)
                results.append(f"{check.__name__} **{type(error).__name__}**")
            else:
                results.append(f"{check.__name__} ok")
            seconds = time.monotonic() - began_at
            print(f"Airflow {version}: {results[-1]} ({seconds:.0f} s)", file=sys.stderr)
    today = datetime.now(timezone.utc).date().isoformat()
    cells = [today, *json.loads(found.stdout.splitlines()[-1]), ", ".join(results)]
    return f"| {' | '.join(cells)} |", "**" not in cells[-1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("versions", nargs="*", default=[*CONSTRAINTS], metavar="VERSION")
    rows = [row(version) for version in parser.parse_args().versions]
    print("\n".join([HEAD, *(text for text, _ in rows)]))
    return 0 if all(ok for _, ok in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
