"""The text about a task that a person reads in Airflow."""

from __future__ import annotations

from typing import Any

import pytest
from support.manifests import FIXTURE
from support.nodes import document, node

from dbt_relay.consumer.graph.description import describe
from dbt_relay.consumer.graph.manifest import Manifest
from dbt_relay.consumer.graph.plan import Tests, plan

ORDERS = "model.p.orders"


def described(*nodes: dict[str, Any], tests: Tests = "task") -> dict[str, str]:
    tasks = plan(Manifest.from_json(document(*nodes)), tests=tests)
    return {task.task_id: describe(task) for task in tasks}


def test_a_text_has_what_dbt_knows_of_the_node() -> None:
    orders = node(
        ORDERS,
        description="One row for each **order**.\n",
        relation_name='"db"."main"."orders"',
        config={"materialized": "incremental", "meta": {"owner": "Ann"}},
    )
    assert described(orders) == {
        "orders": 'model `p.orders`, incremental, `"db"."main"."orders"`, in `models/orders.sql`, '
        "owner Ann\n\nOne row for each **order**."
    }
    assert described(node("seed.p.raw")) == {"raw": "seed `p.raw`, in `seeds/raw.sql`"}


@pytest.mark.parametrize("tests", ["task", "node"])
def test_tests_are_listed_where_they_are_waited_for(tests: Tests) -> None:
    nodes = (
        node(ORDERS, description="Orders."),
        node("test.p.not_null_orders_id.cf6c17daed", ORDERS),
        node("test.p.adds_up", ORDERS),
        node("unit_test.p.orders.of_orders", ORDERS, fqn=["p", "orders", "of_orders"]),
    )
    texts = described(*nodes, tests=tests)
    listed = [line for text in texts.values() for line in text.splitlines() if line[:2] == "- "]
    assert sorted(listed) == ["- `adds_up`", "- `not_null_orders_id`", "- `of_orders`"]
    assert "- `adds_up`" in texts["orders.test" if tests == "task" else "orders"]


def test_a_text_stays_short() -> None:
    """The serialized DAG has the texts of all its tasks."""
    tests = [node(f"test.p.t{n}.0", ORDERS) for n in range(500)]
    texts = described(node(ORDERS, description="x" * 100_000), *tests)
    assert max(map(len, texts.values())) < 700
    assert "…" in texts["orders"]
    assert "- and 480 more" in texts["orders.test"]


def test_every_task_of_a_whole_project_has_a_text() -> None:
    for tests in ("task", "node", "none"):
        assert all(map(describe, plan(Manifest.read(FIXTURE), tests=tests)))
