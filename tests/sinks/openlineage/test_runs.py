"""Ids that are the same each time, and the run that has started dbt."""

from __future__ import annotations

import json
import uuid
from datetime import datetime, timezone
from typing import Any

import pytest
from openlineage.client.uuid import generate_static_uuid

from dbt_relay.records.task import TaskInstance
from dbt_relay.sinks.openlineage.runs import (
    Caller,
    NamedRun,
    caller_of,
    dbt_run_id,
    job_namespace,
    node_run_id,
    task_run_id,
)

ID = "01890000-0000-7000-8000-000000000001"
ROOT = "01890000-0000-7000-8000-000000000002"
RUN = NamedRun("prod/eu", "shop.dbt", ID)
TASK = TaskInstance("shop", "scheduled__1", "dbt", -1)


def test_the_run_of_dbt_is_its_invocation() -> None:
    assert dbt_run_id(ID.upper(), "2026-01-02T03:04:05Z") == ID
    died = dbt_run_id(None, "2026-01-02T03:04:05Z")
    assert (
        died == dbt_run_id(None, "2026-01-02T03:04:05Z") != dbt_run_id(None, "2026-01-02T03:04:06Z")
    )
    assert uuid.UUID(died)


def test_the_run_of_a_node_is_the_same_each_time() -> None:
    first = node_run_id(ID, "model.a.b")
    assert first == node_run_id(ID, "model.a.b") == "8f5a6a06-61ea-59f2-931c-bf5f6789db39"
    assert first not in (node_run_id(ROOT, "model.a.b"), node_run_id(ID, "model.a.c"))


VECTORS = [
    (
        "2026-01-02T03:04:05+00:00",
        "default.shop.dbt.1.-1",
        "019b7ca9-8c88-7371-985c-81b146be5f15",
    ),
    (
        "2026-01-02T03:04:05.678901+00:00",
        "prod.shop.dbt.2.3",
        "019b7ca9-8f2e-7773-bc7b-2d7ca3db4a57",
    ),
    (
        "2026-06-30T22:00:00+02:00",
        "default.shop.group/dbt.1.-1",
        "019f1a1d-fa00-7c7e-9333-c4f711ccb5a9",
    ),
]
"""Logical date, namespace with dag_id, task_id, try_number and map_index, and the run id that
`build_task_instance_ol_run_id` of apache-airflow-providers-openlineage 2.20.3 makes of them."""


@pytest.mark.parametrize(("date", "name", "run_id"), VECTORS)
def test_the_run_of_a_task_is_the_one_that_airflow_names(date: str, name: str, run_id: str) -> None:
    instant = datetime.fromisoformat(date)
    assert task_run_id(instant, name) == run_id
    assert str(generate_static_uuid(instant, name.encode())) == run_id
    namespace, dag_id, task_id, attempt, map_index = name.split(".")
    task = TaskInstance(dag_id, "r", task_id, int(map_index))
    found = caller_of(
        {"AIRFLOW_CTX_LOGICAL_DATE": date, "OPENLINEAGE_NAMESPACE": namespace}, task, int(attempt)
    )
    assert found is not None
    assert found.run == found.root == NamedRun(namespace, f"{dag_id}.{task_id}", run_id)


@pytest.mark.parametrize(
    ("environ", "task", "attempt"),
    [
        ({}, TASK, 1),
        ({"AIRFLOW_CTX_LOGICAL_DATE": ""}, TASK, 1),
        ({"AIRFLOW_CTX_LOGICAL_DATE": "soon"}, TASK, 1),
        ({"AIRFLOW_CTX_LOGICAL_DATE": "2026-01-02T03:04:05"}, TASK, 1),
        ({"AIRFLOW_CTX_LOGICAL_DATE": "2026-01-02T03:04:05Z"}, TASK, None),
        ({"AIRFLOW_CTX_LOGICAL_DATE": "2026-01-02T03:04:05Z"}, None, 1),
    ],
)
def test_a_task_whose_run_id_is_unknown_is_not_guessed(
    environ: dict[str, str], task: TaskInstance | None, attempt: int | None
) -> None:
    assert caller_of(environ, task, attempt) is None


def test_a_variable_names_the_caller() -> None:
    named = {
        "OPENLINEAGE_PARENT_ID": f"prod/eu/shop.dbt/{ID}",
        "AIRFLOW_CTX_LOGICAL_DATE": "2026-01-02T03:04:05Z",
    }
    assert caller_of(named, TASK, 1) == Caller(RUN, RUN)
    named["OPENLINEAGE_ROOT_PARENT_ID"] = f"prod/shop/{ROOT}"
    with_root = Caller(RUN, NamedRun("prod", "shop", ROOT))
    assert caller_of(named, None, None) == with_root
    assert Caller.of_json(json.loads(json.dumps(with_root.to_json()))) == with_root


def context(**changes: Any) -> str:
    parent: dict[str, Any] = {
        "run": {"runId": ID},
        "job": {"namespace": "prod/eu", "name": "shop.dbt"},
        **changes,
    }
    return json.dumps({"parent": parent})


def test_the_context_wins_over_the_older_variable() -> None:
    root = {"run": {"runId": ROOT}, "job": {"namespace": "prod", "name": "shop"}}
    older = {"OPENLINEAGE_PARENT_ID": f"a/b/{ROOT}"}
    assert caller_of({"OPENLINEAGE_CONTEXT": context(), **older}, None, None) == Caller(RUN, RUN)
    found = caller_of({"OPENLINEAGE_CONTEXT": context(root=root), **older}, None, None)
    assert found == Caller(RUN, NamedRun("prod", "shop", ROOT))


@pytest.mark.parametrize(
    "environ",
    [
        {"OPENLINEAGE_PARENT_ID": "shop.dbt"},
        {"OPENLINEAGE_PARENT_ID": "prod/shop.dbt/none"},
        {"OPENLINEAGE_CONTEXT": "{"},
        {"OPENLINEAGE_CONTEXT": "[]"},
        {"OPENLINEAGE_CONTEXT": context(run=None)},
        {"OPENLINEAGE_CONTEXT": context(run={"runId": "none"})},
        {"OPENLINEAGE_CONTEXT": context(job={"name": "a"})},
    ],
)
def test_a_variable_that_names_nothing_is_an_error(environ: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="OPENLINEAGE_"):
        caller_of(environ, None, None)


def test_the_namespace_of_the_jobs() -> None:
    assert job_namespace({}) == "dbt"
    assert job_namespace({"OPENLINEAGE_NAMESPACE": "a"}) == "a"
    both = {"OPENLINEAGE_NAMESPACE": "a", "AIRFLOW__OPENLINEAGE__NAMESPACE": "b"}
    assert job_namespace(both) == "b"


def test_the_instant_may_be_in_any_zone() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    assert task_run_id(at, "a") == task_run_id(
        datetime.fromisoformat("2026-01-02T04:04:05+01:00"), "a"
    )
