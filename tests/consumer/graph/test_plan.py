"""The tasks of a project: their nodes, their ids and their order."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.nodes import document, node

from dbt_relay.consumer.graph.manifest import Manifest
from dbt_relay.consumer.graph.methods import SelectionError
from dbt_relay.consumer.graph.plan import NodeTask, plan
from dbt_relay.consumer.graph.selection import select

if TYPE_CHECKING:
    from pathlib import Path


def manifest(*nodes: dict[str, Any]) -> Manifest:
    return Manifest.from_json(document(*nodes))


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


def test_edges_are_dbts_and_lead_through_nodes_that_never_run() -> None:
    assert edges(plan(manifest(*PROJECT), tests="none")) == {
        "raw": set(),
        "stg": {"raw"},
        "orders": {"stg"},
        "history": {"orders"},
    }


def test_a_nodes_tests_are_one_task_before_the_nodes_downstream() -> None:
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
    """A relationship between `a` and `b`: nodes downstream of `a` alone do not wait for it."""
    a, b, c = "model.p.a", "model.p.b", "model.p.c"
    both = node("test.p.relationships.1", a, b, attached_node=b)
    tasks = edges(plan(manifest(node(a), node(b, a), node(c, b), both)))
    assert tasks == {"a": set(), "b": {"a"}, "b.test": {"b"}, "c": {"b"}}
    folded = plan(manifest(node(a), node(b, a), node(c, b), both), tests="node")
    assert [task.task_id for task in folded] == ["a", "b", "b.test", "c"]


def test_tests_of_nodes_that_never_run_have_a_task() -> None:
    """dbt runs the tests of sources and of ephemeral models."""
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


def test_edges_lead_through_nodes_that_are_not_selected() -> None:
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
    assert {t.selector for t in tasks} >= {"fqn:p.order[s]", "other.orders", "fqn:p.a?b?[c]"}


@pytest.mark.parametrize(
    ("others", "selector"),
    [
        ([], "p.orders"),
        ([node("model.p.x", fqn=["p", "orders", "x"])], "fqn:p.order[s]"),  # a folder of its name
        (
            [node("model.q.orders", fqn=["q", "p", "orders"])],
            "fqn:p.order[s],resource_type:model,package:p",
        ),
        ([node("model.orders.x", fqn=["orders", "x"])], "p.orders"),  # a package of its name
        ([node("test.p.orders")], "fqn:p.order[s],resource_type:model"),
    ],
)
def test_a_selector_selects_the_node_alone(others: list[dict[str, Any]], selector: str) -> None:
    every = manifest(node(ORDERS), *others)
    (task,) = (t for t in plan(every, tests="none") if t.node.unique_id == ORDERS)
    assert task.selector == selector
    assert select(every, task.selector).unique_ids == (ORDERS,)


def test_a_model_with_its_packages_name_at_the_root_is_selected_alone() -> None:
    every = manifest(node("model.orders.orders"), node("model.orders.b", fqn=["orders", "m", "b"]))
    for task in plan(every):
        assert select(every, task.selector).unique_ids == (task.node.unique_id,)


LONG = "x" * 300


@pytest.mark.parametrize("room", [250, 100, 40])
def test_an_id_is_no_longer_than_airflow_takes(room: int) -> None:
    names = (LONG + "a", LONG + "b", "y" * room, "y" * (room - 5), "y" * (room - 6), "z")
    models = [node(f"model.p.{name}") for name in names]
    of_them = [node(f"test.p.t.{n}", m["unique_id"]) for n, m in enumerate(models)]
    tasks = plan(manifest(*models, *of_them), longest_id=room)
    assert len({t.task_id for t in tasks}) == 2 * len(names)
    assert all(len(t.task_id) <= room for t in tasks)
    assert {"z", "z.test", "y" * (room - 5)} <= {t.task_id for t in tasks}
    assert [t.task_id for t in tasks] == [
        t.task_id for t in plan(manifest(*models, *of_them), longest_id=room)
    ]


def test_many_nodes_of_one_name_have_different_ids() -> None:
    models = [node(f"model.p.a{sign}b") for sign in "_ +/!.?"]
    ids = [task.task_id for task in plan(manifest(*models))]
    assert len(set(ids)) == len(models)


A, B, C = "model.p.a", "model.p.b", "model.p.c"
TESTED = (
    node(A),
    node(B),
    node(C, B),
    node("test.p.of_a", A),
    node("test.p.of_b", B),
    node("test.p.of_ab", A, B),
    node("test.p.of_bc", B, C),
    node("unit_test.p.b.u", B, fqn=["p", "u"]),
)


def brought(*selection: str | None, **options: Any) -> set[str]:
    tasks = plan(manifest(*TESTED), *selection, **options)
    found = {u for t in tasks for u in t.unique_ids if "test" in u.partition(".")[0]}
    return {u.removeprefix("test.p.of_") for u in found}


@pytest.mark.parametrize(
    ("selection", "mode", "expected"),
    [
        (("b",), None, {"b", "ab", "bc", "unit_test.p.b.u"}),
        (("b",), "eager", {"b", "ab", "bc", "unit_test.p.b.u"}),
        (("b",), "cautious", {"b", "unit_test.p.b.u"}),
        (("c",), "cautious", set()),
        (("c",), "buildable", {"bc"}),
        (("b",), "empty", set()),
        (("b test_type:singular",), "empty", {"b", "ab", "bc"}),
        ((None, "a"), "eager", {"b", "bc", "unit_test.p.b.u"}),
        ((None, "a"), "cautious", {"b", "ab", "bc", "unit_test.p.b.u"}),
        (("a b", "c"), "eager", {"a", "b", "ab", "unit_test.p.b.u"}),
        (("a b", "of_b"), "eager", {"a", "ab", "bc", "unit_test.p.b.u"}),
    ],
)
def test_the_tests_equal_the_tests_that_dbt_runs(
    selection: tuple[str | None, ...], mode: str | None, expected: set[str]
) -> None:
    assert brought(*selection, indirect_selection=mode) == expected


@pytest.mark.parametrize(
    "flags", ["flags: {indirect_selection: cautious}", "flags:\n  indirect_selection: 'cautious'"]
)
def test_the_flag_of_the_project_is_read_from_its_file(tmp_path: Path, flags: str) -> None:
    """No manifest has the flag."""
    whole = document(*TESTED)
    (tmp_path / "target").mkdir()
    project = tmp_path / "dbt_project.yml"
    for place in (tmp_path, tmp_path / "target"):
        (place / "manifest.json").write_text(json.dumps(whole))
        for text, mode in (
            (f"name: p\n{flags}\n", "cautious"),
            (f"name: another\n{flags}\n", "eager"),
            ("name: p\n", "eager"),
            ("name: p\nflags: {indirect_selection: [1]}\n", "eager"),
            ("name: p\nflags: {indirect_selection: reckless}\n", "eager"),
            ("name: p\nflags: 3\n", "eager"),
            ("name: {{ env_var('X') }\n", "eager"),
            ("[1, 2", "eager"),
        ):
            project.write_text(text)
            read = Manifest.read(place / "manifest.json")
            assert read.indirect_selection == mode, text
            group = {u for t in plan(read, "b") if t.is_test for u in t.unique_ids}
            assert ("test.p.of_ab" in group) == (mode == "eager")
        project.unlink()
        assert Manifest.read(place / "manifest.json").indirect_selection == "eager"
