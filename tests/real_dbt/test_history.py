"""What `stats` says after real runs: one model became slower, and one test is flaky."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from real_dbt.project import Project

if TYPE_CHECKING:
    from pathlib import Path

WORK = """
{{ config(materialized='table') }}
select sum((a.range * b.range) % 7) as total
from range(0, SIZE) as a
cross join range(0, SIZE) as b
"""
FLAKY = "select 1 as bad where {{ env_var('IS_BAD', '0') }} = 1"
BAD = {2, 4}
RUNS = 6


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Six builds of two models and their tests. The last one has a rewritten model."""
    root = tmp_path_factory.mktemp("history")
    project = Project.parsed(root)
    for folder in ("models", "tests", "snapshots", "seeds"):
        shutil.rmtree(project.root / folder)
    for path, text in {
        "models/work.sql": WORK.replace("SIZE", "100"),
        "models/steady.sql": "select 1 as id",
        "models/models.yml": "models: [{name: steady, columns: [{name: id, tests: [not_null]}]}]",
        "tests/flaky.sql": FLAKY,
    }.items():
        (project.root / path).parent.mkdir(exist_ok=True)
        (project.root / path).write_text(text)
    for run in range(RUNS):
        if run == RUNS - 1:
            (project.root / "models" / "work.sql").write_text(WORK.replace("SIZE", "14000"))
        done = relayed(project, "run", "--keep-runs", "2", "--", "dbt", "build", bad=run in BAD)
        assert done.returncode == int(run in BAD), done.stdout
    return project


def relayed(project: Project, *words: str, bad: bool = False) -> Any:
    state = str(project.root.parent / "state")
    return project.run("dbt-relay", *words, DBT_RELAY_STATE_DIR=state, IS_BAD=str(int(bad)))


def stats(project: Project) -> dict[str, Any]:
    done = relayed(project, "stats", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_the_model_that_became_slower_is_the_answer(project: Project) -> None:
    found = stats(project)
    assert found["runs"] == RUNS
    (slower,) = found["slower"]
    assert slower["unique_id"] == "model.jaffle.work"
    assert (slower["since"]["run"], slower["code_changed"]) == (RUNS, True)
    assert slower["factor"] > 2
    assert "\n  work " in relayed(project, "stats").stdout


def test_the_flaky_test_is_named(project: Project) -> None:
    (flaky,) = stats(project)["flaky"]
    assert flaky["unique_id"] == "test.jaffle.flaky"
    assert (flaky["failed"], flaky["succeeded"], flaky["changes"]) == (2, 4, 4)
    assert flaky["is_code_known"]


def test_the_critical_path_is_of_the_latest_run(project: Project) -> None:
    path = stats(project)["critical_path"]
    assert path["run"] == RUNS
    assert path["remark"] is None
    assert path["nodes"] == ["model.jaffle.work"]
    assert path["seconds"] <= path["run_seconds"]


def test_anyone_can_query_the_history(project: Project, tmp_path: Path) -> None:
    done = relayed(project, "export", "--parquet", str(tmp_path))
    assert done.returncode == 0, done.stderr
    rows = duckdb.sql(
        "select unique_id, count(*), count(*) filter (where outcome = 'failure'),"
        f" count(checksum) from '{tmp_path}/*.parquet' group by 1 order by 1"
    ).fetchall()
    assert [(unique_id.split(".")[2], *counts) for unique_id, *counts in rows] == [
        ("steady", RUNS, 0, RUNS),
        ("work", RUNS, 0, RUNS),
        ("flaky", RUNS, 2, RUNS),
        ("not_null_steady_id", RUNS, 0, 0),
    ]
