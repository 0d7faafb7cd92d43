"""The freshness of sources in a task group, with a real dbt and a real Airflow."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from .projects import deploy
from .test_group import states

if TYPE_CHECKING:
    from pathlib import Path

    from .airflow import Airflow

FILES = {
    "dbt_project.yml": "{name: shop, profile: shop, models: {+materialized: table}}",
    "profiles.yml": "{shop: {target: d, outputs: {d: {type: duckdb, path: shop.duckdb}}}}",
    "models/sources.yml": """
sources:
  - name: raw
    schema: main
    config:
      loaded_at_field: loaded_at
      freshness:
        warn_after: {count: 1, period: day}
        error_after: {count: 3, period: day}
    tables: [{name: fresh}, {name: late}, {name: stale}]
""",
    "models/models.yml": """
models:
  - name: of_fresh
    columns:
      - name: id
        data_tests: [{relationships: {arguments: {to: ref('of_stale'), field: id}}}]
""",
    "models/of_fresh.sql": "select * from {{ source('raw', 'fresh') }}",
    "models/of_late.sql": "select * from {{ source('raw', 'late') }}",
    "models/of_stale.sql": "select * from {{ source('raw', 'stale') }}",
    "models/of_both.sql": "select 1 as id from {{ ref('of_fresh') }}, {{ ref('of_stale') }}",
}
LOAD = """
import sys, duckdb
for table, days in zip(sys.argv[1::2], sys.argv[2::2]):
    rows = f"select 1 as id, now()::timestamp - interval {days} day as loaded_at"
    duckdb.connect("shop.duckdb").execute(f"create or replace table {table} as {rows}")
"""
DAG = """
from airflow.sdk import DAG, task
from dbt_relay.provider import dbt_task_group, tell_owners

with DAG("freshness", schedule=None):

    @task(trigger_rule="all_done")
    def tell(**context):
        tell_owners(context, lambda owner, message: print(owner, message))

    group = dbt_task_group(
        manifest={project!r} + "/manifest.json",
        command="dbt build",
        cwd={project!r},
        group_id="g",
        source_freshness=True,
        producer_options={{"env": {{"DBT_PROJECT_DIR": "."}}}},
    )
    group >> tell().as_teardown()
"""
HELD_BACK = {"g.of_stale", "g.of_both", "g.of_fresh.test"}
CHECK, RUN_DBT = "g.source_freshness", "g.run_dbt"


def load(project: Path, **days: int) -> None:
    """Write tables whose rows are so many days old."""
    words = [str(word) for pair in days.items() for word in pair]
    subprocess.run([sys.executable, "-c", LOAD, *words], cwd=project, check=True, timeout=60)


@pytest.fixture(scope="module")
def project(airflow: Airflow) -> Path:
    folder = airflow.server.home / "shop"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    deploy(folder, airflow.server.environ["PATH"])
    (airflow.server.dags / "freshness.py").write_text(DAG.format(project=str(folder)))
    airflow.wait_for_dag("freshness")
    return folder


@pytest.fixture(scope="module")
def stale_run(airflow: Airflow, project: Path) -> str:
    """A run with one fresh source, one that is late, and one that is stale."""
    load(project, fresh=0, late=2, stale=5)
    run_id, state = airflow.run("freshness")
    assert state == "failed", airflow.report()
    return run_id


def test_a_stale_source_holds_back_what_reads_it_and_nothing_else(
    airflow: Airflow, stale_run: str
) -> None:
    found = states(airflow, "freshness", stale_run)
    assert found.pop("g.raw_stale") == found.pop("g.done") == "failed"
    assert {task for task, state in found.items() if state == "upstream_failed"} == HELD_BACK
    assert {state for task, state in found.items() if task not in HELD_BACK} == {"success"}
    records = airflow.xcoms("freshness", stale_run, RUN_DBT)
    assert {key for key in records if key.startswith("model.")} == {
        "model.shop.of_fresh",
        "model.shop.of_late",
    }
    checked = airflow.xcoms("freshness", stale_run, CHECK)
    statuses = {key.rpartition(".")[2]: record.get("status") for key, record in checked.items()}
    assert statuses.items() >= {"fresh": "pass", "late": "warn", "stale": "error"}.items()


def test_people_learn_that_the_source_is_the_cause(airflow: Airflow, stale_run: str) -> None:
    dbts = "ERROR STALE freshness of raw.stale"
    assert dbts in airflow.whole_log("freshness", stale_run, "g.raw_stale")
    said = airflow.whole_log("freshness", stale_run, "g.done")
    assert "g.raw_stale: failed" in said
    assert "g.raw_stale held back 3 tasks" in said
    told = airflow.whole_log("freshness", stale_run, "tell")
    assert "source.shop.raw.stale failed; 3 nodes were skipped for it" in told
    assert dbts in told


def test_what_was_held_back_is_built_once_the_source_is_fresh(
    airflow: Airflow, project: Path, stale_run: str
) -> None:
    before = airflow.xcom("freshness", stale_run, RUN_DBT, "model.shop.of_fresh")
    load(project, stale=0)
    airflow.clear("freshness", stale_run, "g.raw_stale", downstream=True)
    assert airflow.wait("freshness", stale_run) == "success", airflow.report()
    assert {*states(airflow, "freshness", stale_run).values()} == {"success"}
    assert airflow.xcom("freshness", stale_run, CHECK, "source.shop.raw.stale")["renewed"] is True
    records = airflow.xcoms("freshness", stale_run, RUN_DBT)
    assert records["model.shop.of_both"]["renewed"] is True
    assert records["model.shop.of_fresh"] == before


def test_a_new_check_decides_anew(airflow: Airflow, project: Path, stale_run: str) -> None:
    load(project, fresh=5, stale=0)
    airflow.clear("freshness", stale_run, CHECK, downstream=True)
    assert airflow.wait("freshness", stale_run) == "failed"
    found = states(airflow, "freshness", stale_run)
    assert found["g.of_stale"] == "success"
    assert found["g.raw_fresh"] == "failed"
    assert found["g.of_fresh"] == found["g.of_both"] == "upstream_failed"
