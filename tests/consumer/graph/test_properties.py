"""Laws of selection, for any text and any graph."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from support.laws import examples
from support.manifests import FIXTURE
from support.nodes import METADATA

from dbt_relay.consumer.graph.manifest import Manifest
from dbt_relay.consumer.graph.methods import METHODS, SelectionError
from dbt_relay.consumer.graph.selection import select

BAZAAR = Manifest.read(FIXTURE)

pieces = st.sampled_from(
    [
        "+", "@", ",", " ", ":", ".", "/", "*", "**", "[", "]", "[!", "?", "2+", "\n", "\0", "..",
        "\u0663", "\u00b2", "\ud800", "9" * 5000, "ledger", "models", "staging", "purchases.v2",
        "state:", "config.meta.owner:", *(f"{method}:" for method in METHODS),
    ]
)  # fmt: skip
texts = st.lists(pieces, max_size=8).map("".join)


@examples(30)
@given(texts, st.none() | texts)
def test_any_text_selects_or_is_refused(wanted: str, exclude: str | None) -> None:
    with contextlib.suppress(SelectionError):
        assert BAZAAR.nodes.keys() >= set(select(BAZAAR, wanted, exclude).unique_ids)


keys = st.sampled_from(
    ["union", "intersection", "exclude", "method", "value", "parents", "children", "parents_depth",
     "childrens_parents", "indirect_selection", "tag", "selector", "fqn"]
)  # fmt: skip
values = st.sampled_from(
    [
        *METHODS,
        "selector",
        "config.meta.level",
        "a",
        "b",
        "ledger",
        "eager",
        "x",
        "2",
        None,
        True,
        3,
    ]
)
definitions = st.recursive(
    values, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4)
)


@examples(30)
@given(st.fixed_dictionaries({"a": definitions, "b": definitions}), st.sampled_from([11, 12]))
def test_any_selector_selects_or_is_refused(selectors: dict[str, Any], minor: int) -> None:
    manifest = replace(BAZAAR, selectors=selectors, dbt_version=(1, minor))
    with contextlib.suppress(SelectionError):
        assert BAZAAR.nodes.keys() >= set(select(manifest, "selector:a").unique_ids)


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    """Each node reads some of the nodes before it."""
    size = draw(st.integers(1, 12))
    parents: dict[str, list[str]] = {}
    for number in range(size):
        parents[f"n{number}"] = draw(st.lists(st.sampled_from([*parents] or [""]), max_size=3))
    return {u: [p for p in of_node if p] for u, of_node in parents.items()}


def read(parents: dict[str, list[str]]) -> Manifest:
    nodes: dict[str, Any] = {
        u: {
            "resource_type": "model",
            "name": u,
            "package_name": "p",
            "original_file_path": f"models/{u}.sql",
            "fqn": ["p", u],
            "depends_on": {"nodes": of_node},
        }
        for u, of_node in parents.items()
    }
    return Manifest.from_json({"metadata": METADATA, "nodes": nodes})


def within(edges: dict[str, list[str]], start: str, generations: int) -> set[str]:
    """A naive search: the node, and the nodes within the other generations of each neighbour."""
    if not generations:
        return {start}
    return {start}.union(*(within(edges, u, generations - 1) for u in set(edges[start])))


@examples(30)
@given(graphs(), st.data())
def test_graph_operators(parents: dict[str, list[str]], data: st.DataObject) -> None:
    children = {u: [c for c in parents if u in parents[c]] for u in parents}
    all_of_them = len(parents)
    one = data.draw(st.sampled_from([*parents]))
    up, down = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))
    graph = read(parents)

    def found(wanted: str) -> set[str]:
        return set(select(graph, wanted).unique_ids)

    below, above = within(children, one, all_of_them), within(parents, one, all_of_them)
    assert found(f"+{one}") == above
    assert found(f"{one}+") == below
    assert found(f"+{one}+") == above | below
    assert found(f"{up}+{one}+{down}") == within(parents, one, up) | within(children, one, down)
    assert found(f"@{one}") == below.union(*(within(parents, u, all_of_them) for u in below))


@examples(30)
@given(graphs(), st.data())
def test_a_union_selects_the_nodes_of_its_terms(
    parents: dict[str, list[str]], data: st.DataObject
) -> None:
    term = st.builds("{}{}{}".format, st.sampled_from(["", "+", "1+"]), st.sampled_from([*parents]),
                     st.sampled_from(["", "+", "+2"]))  # fmt: skip
    terms = data.draw(st.lists(term, min_size=1, max_size=4))
    graph = read(parents)
    each = [set(select(graph, one).unique_ids) for one in terms]
    assert set(select(graph, terms).unique_ids) == set.union(*each)
    assert set(select(graph, ",".join(terms)).unique_ids) == set.intersection(*each)


@examples(30)
@given(graphs(), st.data())
def test_nearest_ancestors_are_found_over_paths_of_other_nodes(
    parents: dict[str, list[str]], data: st.DataObject
) -> None:
    chosen = data.draw(st.sets(st.sampled_from([*parents])))

    def nearest(one: str) -> set[str]:
        return {u for p in parents[one] for u in ({p} if p in chosen else nearest(p))}

    found = read(parents).nearest_ancestors(chosen)
    assert {u: set(of_node) for u, of_node in found.items()} == {u: nearest(u) for u in chosen}
