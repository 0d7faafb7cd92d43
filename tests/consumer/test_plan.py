"""The tasks of a project: which there are, what they are called, and what comes before what."""

from __future__ import annotations

from typing import Any

import pytest

from dbt_relay.consumer.manifest import Manifest
from dbt_relay.consumer.plan import NodeTask, plan
from dbt_relay.consumer.selection import SelectionError

SCHEMA = "https://schemas.getdbt.com/dbt/manifest/v12.json"


def node(unique_id: str, *parents: str, **fields: Any) -> dict[str, Any]:
    kind, package, name = unique_id.split(".")[:3]
    return {
        "unique_id": unique_id,
        "resource_type": kind,
        "name": name,
        "package_name": package,
        "original_file_path": f"{kind}s/{name}.sql",
        "fqn": [package, name],
        "raw_code": "select 1",
        "config": {"materialized": "table" if kind == "model" else kind},
        "depends_on": {"nodes": list(parents)},
        **fields,
    }


def manifest(*nodes: dict[str, Any]) -> Manifest:
    metadata = {"dbt_schema_version": SCHEMA, "project_name": "p", "dbt_version": "1.11.0"}
    return Manifest.from_json({"metadata": metadata, "nodes": {n["unique_id"]: n for n in nodes}})


def edges(tasks: list[NodeTask]) -> dict[str, set[str]]:
    return {task.task_id: set(task.upstream) for task in tasks}


RAW, STG, ORDERS = "seed.p.raw", "model.p.stg", "model.p.orders"
PROJECT = (
    node(RAW),
    node(STG, RAW),
    node("model.p.hidden", STG, config={"materialized": "ephemeral"}),
    node("model.p.blank", STG, raw_code=" \n"),
    node(ORDERS, "model.p.hidden", "model.p.blank"),
    node("snapshot.p.history", ORDERS),
    node("test.p.unique_stg.1", STG, attached_node=STG),
    node("test.p.not_null_stg.2", STG, attached_node=STG),
    node("unit_test.p.orders.of_orders", ORDERS),
)


def test_edges_are_dbts_and_lead_through_what_is_never_run() -> None:
    assert edges(plan(manifest(*PROJECT), tests="none")) == {
        "raw": set(),
        "stg": {"raw"},
        "orders": {"stg"},
        "history": {"orders"},
    }


def test_a_nodes_tests_are_one_task_before_what_follows_the_node() -> None:
    tasks = plan(manifest(*PROJECT))
    assert edges(tasks) == {
        "raw": set(),
        "stg": {"raw"},
        "stg.test": {"stg"},
        "orders": {"stg.test"},
        "history": {"orders"},
    }
    waits = {task.task_id: set(task.unique_ids) for task in tasks}
    assert waits["stg.test"] == {"test.p.unique_stg.1", "test.p.not_null_stg.2"}
    assert waits["orders"] == {ORDERS, "unit_test.p.orders.of_orders"}
    assert {task.task_id for task in tasks if task.is_test} == {"stg.test"}


def test_tests_in_the_nodes_own_task() -> None:
    waits = {t.task_id: set(t.unique_ids) for t in plan(manifest(*PROJECT), tests="node")}
    assert waits["stg"] == {STG, "test.p.unique_stg.1", "test.p.not_null_stg.2"}
    assert "stg.test" not in waits


def test_a_test_of_two_nodes_holds_back_neither_s_children_as_in_dbt() -> None:
    """A relationship between `a` and `b`: what is after `a` alone does not wait for it."""
    a, b, c = "model.p.a", "model.p.b", "model.p.c"
    both = node("test.p.relationships.1", a, b, attached_node=b)
    tasks = edges(plan(manifest(node(a), node(b, a), node(c, b), both)))
    assert tasks == {"a": set(), "b": {"a"}, "b.test": {"b"}, "c": {"b"}}
    folded = plan(manifest(node(a), node(b, a), node(c, b), both), tests="node")
    assert [task.task_id for task in folded] == ["a", "b", "b.test", "c"]


def test_tests_of_what_is_never_run_have_a_task() -> None:
    """dbt runs those of sources, and of ephemeral models."""
    source, hidden = "source.p.crm.people", "model.p.hidden"
    of_source = node(source, name="people", source_name="crm", fqn=["p", "crm", "people"])
    tests = (
        node("test.p.fresh.1", source, attached_node=source),
        node("test.p.unique_hidden.2", hidden, attached_node=hidden),
    )
    ephemeral = node(hidden, source, config={"materialized": "ephemeral"})
    tasks = plan(manifest(of_source, ephemeral, node(ORDERS, hidden), *tests))
    waits = {task.task_id: task.unique_ids for task in tasks}
    assert waits == {
        "orders": (ORDERS,),
        "crm_people.test": ("test.p.fresh.1",),
        "hidden.test": ("test.p.unique_hidden.2",),
    }
    assert edges(plan(manifest(of_source, ephemeral, node(ORDERS, hidden), *tests), tests="none"))


def test_selection_leaves_edges_through_what_it_leaves_out() -> None:
    assert edges(plan(manifest(*PROJECT), "raw orders", tests="none")) == {
        "raw": set(),
        "orders": {"raw"},
    }
    ids = {task.task_id for task in plan(manifest(*PROJECT), exclude="history unique_stg")}
    assert ids == {"raw", "stg", "stg.test", "orders"}


def test_a_selection_without_a_node_says_so() -> None:
    with pytest.raises(SelectionError, match="nothing matches 'tag:nightly'"):
        plan(manifest(*PROJECT), "tag:nightly")


def test_task_ids_are_names_and_different() -> None:
    nodes = (
        node("model.other.orders"),
        node(ORDERS),
        node("model.p.orders.v2", name="orders", version=2, fqn=["p", "orders", "v2"]),
        node("model.p.orders_v2"),
        node("model.p.a b/c"),
        node("model.p.run_dbt"),
    )
    tasks = plan(manifest(*nodes), taken={"run_dbt"})
    ids = {task.node.unique_id: task.task_id for task in tasks}
    assert ids == {
        ORDERS: "orders",
        "model.other.orders": "other_orders",
        "model.p.orders.v2": "orders_v2",
        "model.p.orders_v2": "p_orders_v2",
        "model.p.a b/c": "a_b_c",
        "model.p.run_dbt": "p_run_dbt",
    }
    assert {t.selector for t in tasks} >= {"p.orders", "other.orders", "p.orders.v2"}
