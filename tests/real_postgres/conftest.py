"""One PostgreSQL for all tests of this folder, and dbt projects that build in it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from real_dbt.project import Project
from support.postgres import USER, Postgres, serving

Copy = Callable[[Path, Path], Project]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with serving() as server:
        yield server


@pytest.fixture(scope="session")
def copy(postgres: Postgres) -> Copy:
    """Copies a project into a folder; the copy builds in a schema of its own."""

    def copy(source: Path, folder: Path) -> Project:
        project = Project.copy(folder, source)
        output = {
            "type": "postgres",
            "host": str(postgres.folder),
            "port": 5432,
            "user": USER,
            "password": "none",
            "dbname": "postgres",
            "schema": f"s{uuid.uuid4().hex[:8]}",
            "threads": 3,
        }
        profiles = {"jaffle": {"target": "dev", "outputs": {"dev": output}}}
        (project.root / "profiles.yml").write_text(json.dumps(profiles))
        return project

    return copy
