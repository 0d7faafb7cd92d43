"""A second attempt on PostgreSQL, after data that a model reads came late."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from real_dbt.project import EXAMPLE, Project
from real_dbt.task import Task
from support.postgres import Postgres


def test_a_retry_runs_what_had_not_succeeded(
    postgres: Postgres, copy: Callable[[Path, Path], Project], tmp_path: Path
) -> None:
    project = copy(EXAMPLE, tmp_path)
    marts = project.root / "models" / "marts"
    (marts / "refunds.sql").write_text("select order_id from refunds_of_the_day")
    (marts / "refunded.sql").write_text(
        "select * from {{ ref('orders') }} join {{ ref('refunds') }} using (order_id)"
    )
    task = Task(project)
    build = ("dbt", "build", "--exclude", "tag:on_purpose")
    task.try_once(*build)
    first = task.nodes()
    waiting = {"model.jaffle.refunds", "model.jaffle.refunded"}
    assert {u for u, record in first.items() if record["outcome"] != "success"} == waiting
    assert (
        'relation "refunds_of_the_day" does not exist' in first["model.jaffle.refunds"]["message"]
    )

    postgres.query("create table refunds_of_the_day as select 1 as order_id")
    said = task.try_once(*build)
    second = task.nodes()
    assert task.ran() == waiting, said
    assert second.keys() == first.keys()
    assert {(r["outcome"], r["attempt"]) for r in second.values()} == {("success", 2)}
