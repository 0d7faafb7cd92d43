"""The sources that hold tasks back, against the nodes that dbt leaves out with `source:…+`."""

from __future__ import annotations

from typing import Any

import pytest
from support.nodes import document, node

from dbt_relay.consumer.graph.manifest import Manifest
from dbt_relay.consumer.graph.plan import NodeTask, Tests, plan
from dbt_relay.consumer.graph.selection import select

RULES: dict[str, Any] = {"warn_after": {"count": None}, "error_after": {"count": 0}}


def source(name: str, rules: Any = RULES, **fields: Any) -> dict[str, Any]:
    unique_id = f"source.p.raw.{name}"
    return node(
        unique_id, name=name, source_name="raw", fqn=["p", "raw", name], freshness=rules, **fields
    )


A, B, C = (f"source.p.raw.{name}" for name in "abc")
NODES = (
    source("a"),
    source("b"),
    source("c", {"error_after": {"count": None}, "warn_after": None}),
    node("model.p.of_a", A),
    node("model.p.of_b", B),
    node("model.p.of_c", C),
    node("model.p.hidden", "model.p.of_b", config={"materialized": "ephemeral"}),
    node("model.p.of_hidden", "model.p.hidden", A),
    node("model.p.both", "model.p.of_a", "model.p.of_b"),
    node("test.p.not_null_of_a.1", "model.p.of_a", attached_node="model.p.of_a"),
    node("test.p.a_in_b.2", "model.p.of_a", "model.p.of_b", attached_node="model.p.of_a"),
    node("test.p.not_null_hidden.3", "model.p.hidden", attached_node="model.p.hidden"),
    node("test.p.not_null_b.4", B, attached_node=B),
    node("test.p.not_null_c.5", C, attached_node=C),
)
MANIFEST = Manifest.from_json(document(*NODES))


def planned(**options: Any) -> dict[str, NodeTask]:
    tasks = plan(MANIFEST, source_freshness=True, **options)
    ids = [task.task_id for task in tasks]
    for task in tasks:
        assert set(task.upstream) <= {*ids[: ids.index(task.task_id)]}, "parents come first"
    return {task.task_id: task for task in tasks}


def held_back(tasks: dict[str, NodeTask], source: str) -> set[str]:
    """The nodes whose tasks are downstream of the source's task."""
    found = {source}
    for task_id, task in tasks.items():
        if found.intersection(task.upstream):
            found.add(task_id)
    return {u for task_id in found - {source} for u in tasks[task_id].unique_ids}


@pytest.mark.parametrize("tests", ["task", "group", "node"])
@pytest.mark.parametrize("chosen", [None, "of_hidden both", "+both", "of_a hidden"])
@pytest.mark.parametrize("source", ["a", "b"])
def test_every_node_that_dbt_leaves_out_has_a_task_that_is_held_back(
    tests: Tests, chosen: str | None, source: str
) -> None:
    tasks = planned(select=chosen, tests=tests)
    selected = {*select(MANIFEST, chosen, indirect_selection="eager").unique_ids}
    without = select(MANIFEST, chosen, f"source:p.raw.{source}+", indirect_selection="eager")
    left_out = {
        u
        for u in selected - {*without.unique_ids}
        if not u.startswith(("source.", "model.p.hidden"))
    }
    if f"raw_{source}" not in tasks:
        assert not [u for u in left_out if u.startswith("model.")], "no node reads it"
        return
    held = held_back(tasks, f"raw_{source}")
    assert left_out <= held
    beside = {"test.p.not_null_of_a.1"}  # shares its task with a test that dbt leaves out
    assert held - left_out <= beside


def test_a_source_has_a_task_if_it_has_rules_and_a_node_of_the_plan_reads_it() -> None:
    def checks(**options: Any) -> dict[str, str]:
        return {t.node.unique_id: t.selector for t in planned(**options).values() if t.is_check}

    assert checks() == {A: "source:p.raw.a", B: "source:p.raw.b"}
    assert checks(select="of_a") == {A: "source:p.raw.a"}
    assert checks(select="of_c") == {}
    assert checks(exclude="source:raw.a") == {B: "source:p.raw.b"}
    assert not [t for t in plan(MANIFEST) if t.is_check]


def test_a_source_is_named_exactly_whatever_its_name() -> None:
    odd = {**source("o"), "name": "my.ta ble"}
    manifest = Manifest.from_json(document(odd, node("model.p.m", "source.p.raw.o"), source("x")))
    (check,) = (t for t in plan(manifest, source_freshness=True) if t.is_check)
    assert check.selector == "source:p.raw.my?ta?ble"
    assert select(manifest, check.selector).unique_ids == ("source.p.raw.o",)
