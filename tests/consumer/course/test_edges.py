"""What a run waited for: dbt's graph, cut down to the run's nodes and in the order of a build."""

from __future__ import annotations

import random

import pytest

from dbt_relay.consumer.course.edges import as_built, between, in_order, is_test


def test_edges_lead_through_nodes_that_did_not_run() -> None:
    graph = {"a": [], "hub": ["a"], "b": ["hub", "a"], "c": ["b", "source"]}
    assert between(graph, ["a", "b", "c", "hook"]) == {
        "a": (),
        "b": ("a",),
        "c": ("b",),
        "hook": (),
    }


def test_a_circle_is_left_out_and_ends() -> None:
    assert [*in_order({"a": ["b"], "b": ["a"], "c": []})] == ["c"]


def test_a_build_runs_a_nodes_tests_before_its_children() -> None:
    graph = {"model.a": [], "test.a": ["model.a"], "model.b": ["model.a"], "model.c": ["model.b"]}
    built = as_built(graph)
    assert set(built["model.b"]) == {"model.a", "test.a"}
    assert set(built["model.c"]) == {"model.b"}, "model.b has waited for test.a"


def test_a_test_of_two_nodes_holds_back_only_what_comes_after_both() -> None:
    graph = {
        "model.a": [],
        "model.b": [],
        "test.ab": ["model.a", "model.b"],
        "model.a2": ["model.a"],
        "model.both": ["model.a2", "model.b"],
    }
    built = as_built(graph)
    assert "test.ab" not in built["model.a2"]
    assert "test.ab" in built["model.both"]


def test_a_unit_test_runs_before_its_model() -> None:
    graph = {"model.a": [], "model.b": ["model.a"], "unit_test.b": ["model.b"]}
    built = as_built(graph)
    assert built["unit_test.b"] == ("model.a",)
    assert set(built["model.b"]) == {"model.a", "unit_test.b"}


@pytest.mark.parametrize("seed", range(20))
def test_a_node_waits_for_exactly_the_tests_of_its_ancestors(seed: int) -> None:
    """By dbt's rule: a test runs before each node that has all of the test's nodes above it."""
    chance = random.Random(seed)
    graph: dict[str, list[str]] = {}
    for number in range(12):
        graph[f"model.{number}"] = chance.sample([*graph], min(len(graph), chance.randint(0, 3)))
    models = [*graph]
    for number in range(8):
        graph[f"test.{number}"] = chance.sample(models, chance.randint(1, 3))
    built = as_built(graph)

    def above(node: str, parents: dict[str, tuple[str, ...]] | dict[str, list[str]]) -> set[str]:
        return {a for p in parents[node] for a in (p, *above(p, parents))}

    assert {*in_order(built)} == graph.keys(), "no circle"
    for node in models:
        before = above(node, graph)
        tests = {t for t in graph if is_test(t) and before.issuperset(graph[t])}
        assert {t for t in above(node, built) if is_test(t)} == tests
