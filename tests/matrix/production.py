"""dbt-relay in an Airflow on PostgreSQL with FAB: the smoke, and `production_checks.py`."""

from __future__ import annotations

import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

from matrix import redis
from matrix.environments import CONSTRAINTS, ROOT, environment, versions
from matrix.production_checks import CHECKS, projects_in
from matrix.production_server import Production
from matrix.smoke import CHECKS as SMOKE
from matrix.smoke import running
from matrix.table import FAILED, results
from real_airflow.projects import inherited
from support import postgres

HEAD = ("Airflow on PostgreSQL", "executor", "fab", "celery", "Python", "result")
RELEASES = ("LocalExecutor", "CeleryExecutor")

_PROVIDERS = ("apache-airflow-providers-celery", "apache-airflow-providers-fab")
_INSTALLED = (*_PROVIDERS, "celery[redis]", "psycopg2-binary", "asyncpg")


def row(executor: str) -> list[str]:
    pins = CONSTRAINTS / "production.txt"
    package = ("--editable", f"{ROOT}[airflow]")
    folder = environment("production", "--constraint", pins, *package, *_INSTALLED)
    with (
        tempfile.TemporaryDirectory(prefix="matrix-") as home,
        postgres.serving() as database,
        redis.serving() if executor == "CeleryExecutor" else nullcontext() as broker,
    ):
        projects_in(Path(home))
        program = folder / "bin/airflow"
        server = Production(program, Path(home), inherited(), database, broker)
        with running(server, [Path(sys.executable).parent]) as airflow:
            found = results(f"Airflow with {executor}", (*SMOKE, *CHECKS), airflow)
            if FAILED in found:
                print(airflow.report(), file=sys.stderr)
    packages = ("apache-airflow", _PROVIDERS[1], "celery")
    airflow_, fab, celery, python = versions(folder, *packages)
    return [airflow_, executor, fab, celery, python, found]
