"""The databases in which the matrix runs dbt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.postgres import USER, serving


@dataclass(frozen=True)
class Warehouse:
    """A kind of database. `output` is dbt's connection to a new place for the project in a folder.

    `slow_queries` counts the long queries that a server runs now. DuckDB has no server: dbt itself
    is at work then.
    """

    adapter: str
    output: Callable[[Path], dict[str, Any]]
    slow_queries: Callable[[], int] | None = None


@contextmanager
def duckdb() -> Iterator[Warehouse]:
    def output(folder: Path) -> dict[str, Any]:
        return {"type": "duckdb", "path": str(folder / "warehouse.duckdb"), "schema": "main"}

    yield Warehouse("duckdb", output)


@contextmanager
def postgres() -> Iterator[Warehouse]:
    """A server that ends with the block."""
    with serving() as server:

        def output(folder: Path) -> dict[str, Any]:
            server.query(f'create database "{folder.name}"')
            place = {"dbname": folder.name, "schema": "main"}
            login = {"user": USER, "password": "none"}
            return {
                "type": "postgres", "host": str(server.folder), "port": 5432, **login, **place
            }  # fmt: skip

        def slow_queries() -> int:
            asleep = "application_name = 'dbt' and query like '%pg_sleep(60)%'"
            active = f"select count(*) from pg_stat_activity where state = 'active' and {asleep}"
            [[count]] = server.query(active)
            return count

        yield Warehouse("postgres", output, slow_queries)
