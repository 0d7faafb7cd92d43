"""dbt-relay around each dbt: see `dbt_checks.py`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from matrix.dbt_checks import CHECKS
from matrix.dbt_under_test import RELEASES as OF_DBT
from matrix.dbt_under_test import Dbt
from matrix.environments import CONSTRAINTS, environment, locked, versions
from matrix.table import results
from matrix.warehouses import duckdb, postgres
from real_dbt import install_v2

HEAD = ("dbt", "database", "Python", "result")
_POSTGRES = "-postgres"
# The oldest dbt, and the newest whose driver for PostgreSQL is on the package index.
RELEASES = (*OF_DBT, f"1.7{_POSTGRES}", f"1.12{_POSTGRES}")


def row(name: str) -> list[str]:
    release = name.removesuffix(_POSTGRES)
    folder, program = installed(release)
    server = postgres() if name != release else duckdb()
    with tempfile.TemporaryDirectory(prefix="matrix-") as home, server as warehouse:
        subject = Dbt(release, str(program), warehouse, Path(home))
        found = results(f"dbt {release} on {warehouse.adapter}", CHECKS, subject)
    if release == "v2":
        dbt, python = versions(folder, "dbt")
        return [dbt, warehouse.adapter, python, found]
    dbt, adapter, python = versions(folder, "dbt-core", f"dbt-{warehouse.adapter}")
    return [dbt, f"{warehouse.adapter} {adapter}", python, found]


def installed(release: str) -> tuple[Path, Path]:
    """The environment of a dbt, and the dbt in it."""
    # The pins are all that dbt needs. Those of dbt 1.12 leave out the experimental parser, which is
    # optional and cannot be built everywhere.
    pins = CONSTRAINTS / f"dbt-{release}.txt"
    folder = environment(f"dbt-{release}", "--no-deps", "--requirements", pins)
    if release != "v2":
        return folder, folder / "bin/dbt"
    program = folder / "with-duckdb/dbt"
    with locked(folder):
        if not program.exists():  # another row may run it
            install_v2.main(folder)
    return folder, program
