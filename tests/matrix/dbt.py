"""dbt-relay around each dbt: see `dbt_checks.py`."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from matrix.dbt_checks import CHECKS
from matrix.dbt_under_test import RELEASES, Dbt
from matrix.environments import CONSTRAINTS, environment, versions
from matrix.table import results
from matrix.warehouses import DUCKDB, Warehouse
from real_dbt import install_v2

__all__ = ["HEAD", "RELEASES", "rows"]

HEAD = ("dbt", "database", "Python", "result")
_CORES = 2


def rows(releases: list[str]) -> list[list[str]]:
    with ThreadPoolExecutor(_CORES) as pool:
        return list(pool.map(lambda release: _row(release, DUCKDB), releases))


def _row(release: str, warehouse: Warehouse) -> list[str]:
    # The pins are all that dbt needs. Those of dbt 1.12 leave out the experimental parser, which is
    # optional and cannot be built everywhere.
    pins = CONSTRAINTS / f"dbt-{release}.txt"
    folder = environment(f"dbt-{release}", "--no-deps", "--requirements", pins)
    program, database = folder / "bin/dbt", warehouse.adapter
    if release == "v2":
        install_v2.main(folder)
        program = folder / "with-duckdb/dbt"
        dbt, python = versions(folder, "dbt")
    else:
        dbt, adapter, python = versions(folder, "dbt-core", f"dbt-{warehouse.adapter}")
        database = f"{database} {adapter}"
    with tempfile.TemporaryDirectory(prefix="matrix-") as home:
        subject = Dbt(release, str(program), warehouse, Path(home))
        found = results(f"dbt {release} on {warehouse.adapter}", CHECKS, subject)
    return [dbt, database, python, ", ".join(found)]
