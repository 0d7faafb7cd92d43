"""The databases in which the matrix runs dbt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Warehouse:
    """A kind of database. `output` is dbt's connection to a new one for the project in a folder."""

    adapter: str
    output: Callable[[Path], dict[str, Any]]


def _duckdb(folder: Path) -> dict[str, Any]:
    return {"type": "duckdb", "path": str(folder / "warehouse.duckdb"), "schema": "main"}


DUCKDB = Warehouse("duckdb", _duckdb)
