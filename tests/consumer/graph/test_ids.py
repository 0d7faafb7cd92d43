"""The ids of tasks, and the groups in a group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.laws import examples
from support.manifests import FIXTURE
from support.nodes import document, node

from dbt_relay.consumer.graph.ids import TaskIdError
from dbt_relay.consumer.graph.manifest import Manifest
from dbt_relay.consumer.graph.plan import NodeTask, plan

if TYPE_CHECKING:
    from dbt_relay.consumer.graph.node import Node

BAZAAR = Manifest.read(FIXTURE)


def planned(*nodes: dict[str, Any], **options: Any) -> dict[str, NodeTask]:
    tasks = plan(Manifest.from_json(document(*nodes)), **options)
    assert len({task.task_id for task in tasks}) == len(tasks)
    return {task.task_id: task for task in tasks}


def model(name: str, *folders: str, parents: tuple[str, ...] = (), **fields: Any) -> dict[str, Any]:
    package = fields.pop("package", "p")
    return node(f"model.{package}.{name}", *parents, fqn=[package, *folders, name], **fields)


def test_folders_are_groups() -> None:
    tasks = {t.node.unique_id: t.task_id for t in plan(BAZAAR, tests="none", group_by="folder")}
    assert tasks["model.bazaar.top"] == "top"
    assert tasks["model.bazaar.stg_clicks"] == "staging.web.stg_clicks"
    assert tasks["model.bazaar.finance"] == "marts.finance.finance", "a folder of its name"
    assert tasks["model.bazaar.purchases.v2"] == "marts.purchases_v2"
    assert tasks["seed.bazaar.rates"] == "rates"
    assert tasks["snapshot.bazaar.ledger_history"] == "ledger_history"
    assert tasks["model.jaffle.orders"] == "jaffle.marts.orders"
    assert tasks["seed.jaffle.raw_orders"] == "jaffle.raw_orders"


def test_a_snapshot_in_a_folder_is_in_its_group() -> None:
    """dbt counts the file of a snapshot in SQL as a part of the name, but no file in YAML."""
    sql = node(
        "snapshot.p.a",
        fqn=["p", "old", "all", "a"],
        original_file_path="snapshots/old/all.sql",
    )
    yaml = node("snapshot.p.b", fqn=["p", "old", "b"], original_file_path="snapshots/old/all.yml")
    assert planned(sql, yaml, group_by="folder").keys() == {"old.a", "old.b"}


def test_edges_are_the_same_in_any_form() -> None:
    def edges(**form: Any) -> set[tuple[str, str]]:
        tasks = {task.task_id: task for task in plan(BAZAAR, **form)}
        return {
            (f"{tasks[u].node.unique_id}{tasks[u].is_test}", f"{t.node.unique_id}{t.is_test}")
            for t in tasks.values()
            for u in t.upstream
        }

    usual = edges()
    assert usual
    for form in (
        {"group_by": "folder"},
        {"tests": "group"},
        {"tests": "group", "group_by": "folder"},
        {"task_id": lambda node: node.unique_id.replace(".", "-")},
    ):
        assert edges(**form) == usual


def test_a_node_with_tests_is_a_group() -> None:
    tasks = planned(
        model("a", "x"),
        model("b", "x", parents=("model.p.a",)),
        node("test.p.t.1", "model.p.a"),
        tests="group",
        group_by="folder",
    )
    assert {name: (t.groups, t.upstream) for name, t in tasks.items()} == {
        "x.a.run": (("x", "a"), ()),
        "x.a.test": (("x", "a"), ("x.a.run",)),
        "x.b": (("x",), ("x.a.test",)),
    }
    assert [t.name for t in tasks.values()] == ["run", "test", "b"]


@pytest.mark.parametrize("tests", ["none", "group"])
def test_a_folder_has_no_id_of_a_task(tests: Any) -> None:
    nodes = (model("orders"), model("x", "orders"), model("y", "orders_"), model("z", "done"))
    tested = node("test.p.t.1", "model.p.orders")
    tasks = planned(*nodes, tested, tests=tests, group_by="folder", taken={"done"})
    orders = {"orders"} if tests == "none" else {"orders.run", "orders.test"}
    assert tasks.keys() == orders | {"orders__.x", "orders_.y", "done_.z"}


def test_names_of_a_group_are_different() -> None:
    nodes = (model("a b", "x"), model("a+b", "x"), model("a b", "y"), model("a b", package="q"))
    assert len(planned(*nodes[:2], *nodes[3:], group_by="folder")) == 3


def test_names_come_from_a_function() -> None:
    tasks = planned(
        model("a", "x"),
        node("test.p.t.1", "model.p.a"),
        node("source.p.crm.people", source_name="crm", fqn=["p", "x", "crm", "people"]),
        node("test.p.u.1", "source.p.crm.people"),
        group_by="folder",
        task_id=lambda node: f"{node.resource_type}-{node.name}",
    )
    assert tasks.keys() == {"x.model-a", "x.model-a.test", "x.source-crm.test"}


@pytest.mark.parametrize(
    ("task_id", "words"),
    [
        (lambda _: "same", ["'same'", "model.p.a", "model.p.b"]),
        (lambda _: "run_dbt", ["'run_dbt'", "model.p.a", "the group itself"]),
        (lambda node: node.unique_id, ["'model.p.a'", "letters"]),
        (lambda _: "", ["''", "letters"]),
        (lambda _: None, ["None", "model.p.a"]),
        (lambda _: "x" * 300, ["model.p.a", "300 characters"]),
    ],
)
def test_a_name_that_cannot_be_is_an_error(task_id: Any, words: list[str]) -> None:
    with pytest.raises(TaskIdError) as raised:
        planned(model("a"), model("b"), task_id=task_id, taken={"run_dbt"})
    for word in words:
        assert word in str(raised.value)


def test_the_same_name_may_be_in_two_folders() -> None:
    nodes = (model("a", "x"), model("b", "y"))
    assert planned(*nodes, group_by="folder", task_id=lambda _: "same").keys() == {
        "x.same",
        "y.same",
    }


words = st.sampled_from(
    ["a", "a_", "a__", "a b", "run", "test", "done", "b", "x" * 90, "y" * 230, "y" * 260]
)


@examples(150)
@given(
    st.lists(
        st.tuples(words, st.lists(words, max_size=4), st.sampled_from("pq")),
        min_size=1,
        unique_by=lambda one: (one[0], one[2]),
    ),
    st.sampled_from(["task", "group"]),
    st.sampled_from([None, "folder"]),
    st.integers(60, 250),
)
def test_ids_are_different_and_fit(
    models: list[tuple[str, list[str], str]], tests: Any, group_by: Any, longest: int
) -> None:
    nodes = [model(name, *folders, package=package) for name, folders, package in models]
    of_them = [node(f"test.p.t.{n}", m["unique_id"]) for n, m in enumerate(nodes[::2])]
    tasks = planned(
        *nodes, *of_them, tests=tests, group_by=group_by, longest_id=longest, taken={"done", "run"}
    )
    ids = {*tasks, "done", "run"}
    groups = {".".join(t.groups[:n]) for t in tasks.values() for n in range(1, len(t.groups) + 1)}
    assert not ids & groups
    assert max(map(len, ids)) <= longest
    assert all(len(name) <= 200 for t in tasks.values() for name in t.groups)


def test_a_folder_with_a_new_name_leaves_ids_that_fit() -> None:
    nodes = (model("a"), *(model("y" * n, "a") for n in range(200, 260)))
    assert max(map(len, planned(*nodes, group_by="folder"))) <= 245


def test_a_function_sees_the_whole_node() -> None:
    seen: list[Node] = []

    def by(node: Node) -> str:
        seen.append(node)
        return node.name

    planned(model("a", description="x"), task_id=by)
    assert [(n.name, n.description) for n in seen] == [("a", "x")]
