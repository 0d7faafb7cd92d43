"""Asset events and the form of a manual run, in a real Airflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .airflow import Airflow


SOME = {"select": "raw_orders", "full_refresh": True, "vars": {"slow": False}}


@pytest.fixture(scope="module")
def run_ids(airflow: Airflow) -> dict[str, str]:
    """A run of each DAG, and a second of the form. They run beside each other.

    The form starts runs that have no logical date.
    """
    return {
        "group_assets": airflow.trigger("group_assets"),
        "operator_assets": airflow.trigger("operator_assets"),
        "no_manifest": airflow.trigger("operator_assets", {"manifest": "nowhere.json"}),
        "some": airflow.trigger("group_form", SOME, logical_date=None),
        "group_form": airflow.trigger("group_form", logical_date=None),
    }


def ended(airflow: Airflow, dag_id: str, run_id: str) -> str:
    """The run, once it has succeeded."""
    assert airflow.wait(dag_id, run_id) == "success", airflow.report()
    return run_id


def test_an_event_certifies_each_relation_of_a_group(
    airflow: Airflow, run_ids: dict[str, str]
) -> None:
    run_id = ended(airflow, "group_assets", run_ids["group_assets"])
    found = airflow.asset_events("group_assets", run_id)
    nodes = airflow.xcoms("group_assets", run_id, "dbt.run_dbt")
    built = {
        record["unique_id"]: record
        for record in nodes.values()
        if record.get("resource_type") in ("model", "seed", "snapshot")
    }
    assert {extra["unique_id"] for extra in found.values()} == built.keys()
    (orders,) = (e for e in found.values() if e["unique_id"] == "model.jaffle.orders")
    assert orders["seconds"] == built["model.jaffle.orders"]["execution_time"]
    assert orders["invocation_id"] == built["model.jaffle.orders"]["invocation_id"]
    assert orders["tests"] > 0
    assert any(name.endswith("main.orders") for name in found)


def test_an_operator_alone_emits_the_same_events(airflow: Airflow, run_ids: dict[str, str]) -> None:
    run_id = ended(airflow, "operator_assets", run_ids["operator_assets"])
    found = airflow.asset_events("operator_assets", run_id)
    assert {name.rpartition(".")[2] for name in found} == {"raw_orders", "stg_orders"}
    assert {extra["unique_id"] for extra in found.values()} == {
        "seed.jaffle.raw_orders",
        "model.jaffle.stg_orders",
    }
    nodes = airflow.xcoms("operator_assets", run_id, "dbt")
    for extra in found.values():
        record = nodes[extra["unique_id"]]
        assert extra["seconds"] == record["execution_time"]
        assert extra["invocation_id"] == record["invocation_id"]
        assert extra["tests"] == (2 if record["resource_type"] == "model" else 0)


def test_a_missing_manifest_fails_no_task(airflow: Airflow, run_ids: dict[str, str]) -> None:
    whole = airflow.asset_events(
        "operator_assets", ended(airflow, "operator_assets", run_ids["operator_assets"])
    )
    run_id = ended(airflow, "operator_assets", run_ids["no_manifest"])
    log = airflow.whole_log("operator_assets", run_id, "dbt")
    assert "there is no manifest at nowhere.json" in log
    found = airflow.asset_events("operator_assets", run_id)
    assert found.keys() == whole.keys()
    for name, extra in found.items():
        assert extra.keys() == whole[name].keys() - {"tests"}


def test_a_manual_run_skips_the_nodes_that_it_does_not_select(
    airflow: Airflow, run_ids: dict[str, str]
) -> None:
    run_id = ended(airflow, "group_form", run_ids["some"])
    states = {ti["task_id"]: ti["state"] for ti in airflow.tis("group_form", run_id)}
    assert states.pop("dbt.run_dbt") == states.pop("dbt.done") == "success"
    assert states.pop("dbt.raw_orders") == "success"
    assert set(states.values()) == {"skipped"}
    command = airflow.xcom("group_form", run_id, "dbt.run_dbt", "dbt_relay_run")["command"]
    assert "--select raw_orders --full-refresh --vars" in command


def test_a_run_without_a_choice_builds_the_whole_group(
    airflow: Airflow, run_ids: dict[str, str]
) -> None:
    run_id = ended(airflow, "group_form", run_ids["group_form"])
    assert {ti["state"] for ti in airflow.tis("group_form", run_id)} == {"success"}
