"""The options of each node's task, as Airflow has them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.nodes import document, node

from provider import groups

if TYPE_CHECKING:
    from pathlib import Path

ORDERS = "model.p.orders"
META = {
    "owner": "Ann",
    "airflow": {"pool": "big", "pool_slots": 2, "queue": "q", "retries": 3, "retry_delay": 7,
                "priority_weight": 9, "weight_rule": "absolute", "execution_timeout": "01:00:00"},
}  # fmt: skip
CUSTOM = "lambda node: {'pool': node.name, 'on_upstream_failed': 'skip', 'outlets': [Asset('x')]}"
CALLS = {
    "meta": "dbt_task_group(manifest=PATH, command='dbt build', timeout=7200, pool='usual')",
    "custom": f"dbt_task_group(manifest=PATH, command='dbt build', customize={CUSTOM})",
    "bad custom": "dbt_task_group(manifest=PATH, command='x', customize=lambda node: 7)",
    "custom id": "dbt_task_group(manifest=PATH, command='x', customize=lambda n: {'task_id': 'a'})",
    "bad meta": "dbt_task_group(manifest=PATH + '.bad', command='x')",
    "selector": "dbt_task_group(manifest=PATH, command='dbt build', select='selector:one')",
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder: Path = tmp_path_factory.mktemp("groups")
    path = folder / "manifest.json"
    nodes = (
        node("seed.p.raw"),
        node(ORDERS, "seed.p.raw", config={"meta": META}),
        node("test.p.unique_orders.1", ORDERS, attached_node=ORDERS),
    )
    selectors = {"one": {"name": "one", "definition": {"method": "fqn", "value": "orders"}}}
    path.write_text(json.dumps(document(*nodes, selectors=selectors)))
    bad = node(ORDERS, config={"meta": {"airflow": {"retries": "many"}}})
    (folder / "manifest.json.bad").write_text(json.dumps(document(bad)))
    calls = {name: call.replace("PATH", repr(str(path))) for name, call in CALLS.items()}
    return groups(calls, folder)


@pytest.mark.parametrize("task_id", ["dbt.orders", "dbt.orders.test"])
def test_a_node_s_tasks_have_the_options_in_its_meta(found: dict[str, Any], task_id: str) -> None:
    task = found["meta"][task_id]
    given: dict[str, Any] = {**META["airflow"], "execution_timeout": 3600, "owner": "Ann"}
    assert {name: task[name] for name in given} == given
    assert task["timeout"] == 3600, "Airflow does not end a deferred task at its execution_timeout"


def test_a_node_without_options_has_those_of_the_group(found: dict[str, Any]) -> None:
    raw = found["meta"]["dbt.raw"]
    assert (raw["pool"], raw["retries"], raw["timeout"]) == ("usual", 0, 7200)
    assert raw["execution_timeout"] is None


def test_customize_wins(found: dict[str, Any]) -> None:
    tasks = found["custom"]
    assert [tasks[f"dbt.{name}"]["pool"] for name in ("raw", "orders")] == ["raw", "orders"]
    assert tasks["dbt.orders"]["queue"] == "q"
    assert [tasks[f"dbt.{name}"]["rule"] for name in ("raw", "orders")] == ["always", "all_done"]
    assert tasks["dbt.orders"]["outlets"] == ["x"]


def test_what_no_task_can_have_is_an_error(found: dict[str, Any]) -> None:
    assert "customize returned 7 for seed.p.raw" in found["bad custom"]
    assert "customize returned task_id" in found["custom id"]
    for word in ("OptionError", ORDERS, "models/orders.sql", "meta.airflow.retries is 'many'"):
        assert word in found["bad meta"]


def test_a_selector_selects_tasks_and_is_passed_to_dbt(found: dict[str, Any]) -> None:
    assert found["selector"].keys() == {
        "dbt.run_dbt", "dbt.orders", "dbt.orders.test", "dbt.done"
    }  # fmt: skip
    assert found["selector"]["dbt.run_dbt"]["select"] == "selector:one"


def test_a_task_says_of_what_kind_its_node_is(found: dict[str, Any]) -> None:
    tasks = found["meta"]
    assert {
        name: tasks[f"dbt.{name}"]["task_type"] for name in ("raw", "orders", "orders.test")
    } == {
        "raw": "DbtSeedSensor",
        "orders": "DbtModelSensor",
        "orders.test": "DbtTestSensor",
    }
    assert tasks["dbt.orders"]["doc_md"].startswith("model `p.orders`")
    assert tasks["dbt.orders.test"]["doc_md"] == (
        "Tests of model `p.orders`, in `models/orders.sql`, owner Ann\n\n- `unique_orders`"
    )
