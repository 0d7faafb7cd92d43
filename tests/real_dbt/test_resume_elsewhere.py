"""Attempts between which something changed: the project, what dbt runs in, or the DAG run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from real_dbt.project import Project

if TYPE_CHECKING:
    from pathlib import Path

FIRST = "env_var('AIRFLOW_CTX_TRY_NUMBER') == '1'"
FILES = {
    "dbt_project.yml": """
name: shop
profile: shop
target-path: "build/{{ env_var('STAGE', 'default') }}"
models: {+materialized: table}
""",
    "profiles.yml": """
shop:
  target: dev
  outputs:
    dev: {type: duckdb, path: dev.duckdb}
    prod: {type: duckdb, path: prod.duckdb}
""",
    "models/a.sql": "select 1 as id",
    "models/b.sql": "select * from {{ ref('a') }}",
    "models/c.sql": "select * from {{ ref('b') }}",
    "models/other.sql": "select 1 as id",
    "models/flaky.sql": f"select {{{{ 'no_such' if {FIRST} else '1' }}}} as id",
    "models/after.sql": "select * from {{ ref('flaky') }}",
}
BUILD = ("dbt", "build")


class Shop:
    """A small project, and the attempts of a task that builds it. They share a journal."""

    def __init__(self, root: Path) -> None:
        self.project = Project(root)
        for name, text in FILES.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        path = self.project.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(self, attempt: int, *command: str, **env: str) -> str:
        """The line in which the relay says how it goes on."""
        done = self.project.run(
            *("dbt-relay", "run", "--resume", "--", *(command or BUILD)),
            **{
                "AIRFLOW_CTX_DAG_ID": "d",
                "AIRFLOW_CTX_DAG_RUN_ID": "r",
                "AIRFLOW_CTX_TASK_ID": "t",
                "AIRFLOW_CTX_TRY_NUMBER": str(attempt),
                "DBT_RELAY_STATE_DIR": str(self.project.root / "state"),
                **env,
            },
        )
        said = [s for s in done.stderr.splitlines() if "resum" in s or "everything" in s]
        return "\n".join(said)

    def nodes(self) -> dict[str, dict[str, Any]]:
        """The newest run's records, by the name of the node."""
        state = str(self.project.root / "state")
        done = self.project.run("dbt-relay", "show", "--json", "--state-dir", state)
        records = [r for r in map(json.loads, done.stdout.splitlines()) if "unique_id" in r]
        assert {r["outcome"] for r in records if r["attempt"] > 1} <= {"success"}
        return {r["unique_id"].rpartition(".")[2]: r for r in records}

    def ran(self) -> set[str]:
        return {name for name, record in self.nodes().items() if "resumed_from" not in record}


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    shop = Shop(tmp_path)
    shop.run(1)
    return shop


def test_dbt_says_itself_where_its_artifacts_are(shop: Shop) -> None:
    """`target-path` may be Jinja, which only dbt knows to read."""
    assert "resuming attempt 1 with dbt retry: 4 nodes" in shop.run(2)
    assert shop.ran() == {"flaky", "after"}


def test_a_project_that_changed(shop: Shop) -> None:
    """New, renamed, gone and rewritten nodes; of what had succeeded `other` alone is as it was."""
    shop.write("models/new.sql", "select 1 as id")
    shop.write("models/b.sql", "select id + 1 as id from {{ ref('a2') }}")
    (shop.project.root / "models/a.sql").rename(shop.project.root / "models/a2.sql")
    (shop.project.root / "models/after.sql").unlink()
    said = shop.run(2)
    assert "of which 2 run again because code changed there or upstream" in said
    assert shop.ran() == {"new", "a2", "b", "c", "flaky"}
    assert shop.nodes().keys() == {"new", "a2", "b", "c", "flaky", "other"}


def test_another_target_is_another_place(shop: Shop) -> None:
    said = shop.run(2, DBT_TARGET="prod")
    assert "environment variable of dbt or of the project changed since" in said
    assert shop.ran() == {"a", "b", "c", "other", "flaky", "after"}
    assert (shop.project.root / "prod.duckdb").exists()


def test_a_dag_run_that_was_made_anew(shop: Shop) -> None:
    """Its second attempt knows of two first ones."""
    (shop.project.root / "dev.duckdb").unlink()
    shop.run(1)
    assert "created again" in shop.run(2)
    assert shop.ran() == {"a", "b", "c", "other", "flaky", "after"}
