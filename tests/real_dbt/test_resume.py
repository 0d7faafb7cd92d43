"""Two attempts with a real dbt: the second runs what had not succeeded, all of it and no more."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.records import node

from dbt_relay.cli.process.signals import Signals
from dbt_relay.cli.resume.listing import run_ls
from dbt_relay.cli.resume.resumption import PreviousAttempt, resume
from real_dbt.project import BIN, Project
from real_dbt.task import Task

FIRST = "env_var('AIRFLOW_CTX_TRY_NUMBER') == '1'"
FLAKY = f"select {{{{ 'no_such' if {FIRST} else '1' }}}} as id from {{{{ ref('orders') }}}}"
MICROBATCH = f"""
{{% set today = modules.datetime.datetime.now(modules.pytz.utc) %}}
{{% set days = modules.datetime.timedelta %}}
{{{{ config(
    materialized='incremental', incremental_strategy='microbatch', event_time='happened_at',
    batch_size='day', lookback=0, begin=(today - days(days=3)).strftime('%Y-%m-%d'),
) }}}}
{{% set bad = (today - days(days=2)).strftime('%Y%m%d') %}}
{{% set fails = {FIRST} and model.batch and model.batch.id == bad %}}
select {{{{ 'no_such' if fails else "timestamp '2026-01-01'" }}}} as happened_at
"""
SELECTORS = """
selectors:
  - name: staged
    default: {default}
    definition:
      union:
        - {{method: path, value: models/staging}}
        - exclude: [{{method: fqn, value: stg_payments}}]
"""
QUIET = "--exclude tag:on_purpose"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.parsed(tmp_path)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project that was built, and is parsed once for all that use it."""
    project = Project.parsed(tmp_path_factory.mktemp("built"))
    project.run("dbt", "build", *QUIET.split())
    assert len(project.results()) == 21
    shutil.copy(project.root / "target/run_results.json", project.root)
    return project


@pytest.fixture
def task(project: Project) -> Task:
    return Task(project)


def test_dbt_retry_and_a_third_attempt(project: Project, task: Task) -> None:
    (project.root / "models/marts/flaky.sql").write_text(FLAKY)
    task.try_once("dbt", "build")
    first = task.nodes()
    bad = {u for u, record in first.items() if record["outcome"] in ("failure", "skipped")}
    assert len(bad) == 4

    said = task.try_once("dbt", "build")
    assert any("with dbt retry: 21 nodes had succeeded" in line for line in said), said
    assert task.ran() == bad
    second = task.nodes()
    assert second.keys() == first.keys()
    assert {record["attempt"] for record in second.values()} == {2}
    assert second["model.jaffle.flaky"]["outcome"] == "success"

    said = task.try_once("dbt", "build")
    assert any("resuming attempt 2 with dbt retry: 22 nodes" in line for line in said), said
    assert task.ran() == bad - {"model.jaffle.flaky"}
    third = task.nodes()
    assert third.keys() == first.keys()
    assert third["model.jaffle.flaky"]["resumed_from"] == 2
    assert third["model.jaffle.orders"]["resumed_from"] == 1


def test_fail_fast_of_which_dbts_own_file_is_wrong(project: Project, task: Task) -> None:
    (project.root / "models/marts/flaky.sql").write_text(FLAKY)
    command = ("dbt", "build", "--fail-fast", "--threads", "4", "--exclude", "tag:on_purpose")
    task.try_once(*command)
    done = {u for u, record in task.nodes().items() if record["outcome"] == "success"}
    assert done

    said = task.try_once(*command)
    assert any("resuming attempt 1" in line for line in said), said
    nodes = task.nodes()
    assert task.ran() == nodes.keys() - done
    assert {record["outcome"] for record in nodes.values()} == {"success"}
    assert len(nodes) == 22


def test_only_the_batches_that_failed(project: Project, task: Task) -> None:
    (project.root / "models/marts/by_day.sql").write_text(MICROBATCH)
    command = ("dbt", "run", "--select", "by_day", "stg_orders")
    project.run("dbt", "seed", "--select", "raw_orders", AIRFLOW_CTX_TRY_NUMBER="2")
    task.try_once(*command)
    first = task.nodes()["model.jaffle.by_day"]
    assert first["batches"] == {"total": 4, "error": 1, "success": 3}

    task.try_once(*command)
    second = task.nodes()["model.jaffle.by_day"]
    assert second["outcome"] == "success"
    assert second["batches"] == {"total": 1, "success": 1}


DONE = {
    "seed.jaffle.raw_orders",
    "seed.jaffle.raw_customers",
    "model.jaffle.stg_customers",
    "test.jaffle.unique_stg_customers_customer_id.c7614daada",
}
"""What the records of a killed attempt show: a test of a model that is done has not run yet."""
UNTESTED = "test.jaffle.not_null_stg_customers_customer_id.e2cfb1f9aa"
STAGED = {
    "model.jaffle.stg_orders",
    "test.jaffle.not_null_stg_orders_order_id.81cfe2fe64",
    "test.jaffle.unique_stg_orders_order_id.e3b841c71a",
    UNTESTED,
}
ORDERS = STAGED | {
    "model.jaffle.orders",
    "test.jaffle.no_negative_amounts",
    "test.jaffle.not_null_orders_customer_id.c5f02694af",
    "test.jaffle.not_null_orders_order_id.cf6c17daed",
    "test.jaffle.unique_orders_order_id.fed79b3a6e",
}


@pytest.mark.parametrize(
    ("selectors", "options", "left"),
    [
        (None, QUIET, None),
        (
            None,
            "--select +orders stg_customers --exclude stg_payments --resource-type model test",
            ORDERS,
        ),
        ("true", "", STAGED),
        ("false", "--selector staged --indirect-selection cautious", STAGED),
    ],
    ids=["all", "select and exclude", "default selector", "selector"],
)
def test_dbt_was_killed(
    built: Project, selectors: str | None, options: str, left: set[str] | None
) -> None:
    """The nodes that had not succeeded, as if the first attempt had just gone on."""
    (built.root / "selectors.yml").unlink(missing_ok=True)
    if selectors is not None:
        (built.root / "selectors.yml").write_text(SELECTORS.format(default=selectors))
    if left is None:
        results = json.loads((built.root / "run_results.json").read_text())["results"]
        left = {result["unique_id"] for result in results} - DONE
    command = ("dbt", "build", *options.split())
    done = DONE if options == QUIET else DONE - {u for u in DONE if u.startswith("seed")}
    records = {unique_id: node(unique_id, attempt=1) for unique_id in done}
    known = PreviousAttempt(1, command, None, ("i",), built.root / "target", records)

    def ls(argv: tuple[str, ...]) -> Any:
        path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
        place = {"DBT_PROJECT_DIR": str(built.root), "DBT_PROFILES_DIR": str(built.root)}
        with Signals() as signals:
            return run_ls(argv, {**os.environ, "PATH": path, **place}, signals)

    target = built.root / "target"
    found = resume(command, known, attempt=2, target_dir=target, run_ls=ls)
    assert "selected by name" in found.remark, found.remark
    built.run(*found.command)
    assert built.results().keys() == left
    assert UNTESTED in left
