"""The reading of a manifest: nodes, edges, and the owners of tests."""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from support.manifests import FIXTURE

from dbt_relay.consumer.graph.manifest import Manifest, ManifestError

BAZAAR = Manifest.read(FIXTURE)
METADATA = {
    "dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v12.json",
    "dbt_version": "1.11.16",
    "project_name": "shop",
}


def manifest(parents: dict[str, list[str]], **fields: dict[str, Any]) -> Manifest:
    """Nodes by name, in this order; `fields` has fields of some of them."""
    nodes: dict[str, Any] = {}
    for unique_id, of_node in parents.items():
        kind, _, name = unique_id.partition(".")
        nodes[unique_id] = {
            "resource_type": kind,
            "name": name,
            "package_name": "shop",
            "original_file_path": f"models/{name}.sql",
            "fqn": ["shop", name],
            "depends_on": {"nodes": of_node},
            **fields.get(name, {}),
        }
    return Manifest.from_json({"metadata": METADATA, "nodes": nodes})


def test_a_node_has_the_facts_of_the_manifest() -> None:
    assert BAZAAR.project_name == "bazaar"
    assert BAZAAR.dbt_version == (1, 11, 16)
    clicks = BAZAAR.nodes["model.bazaar.stg_clicks"]
    assert (clicks.resource_type, clicks.name, clicks.package_name) == (
        "model", "stg_clicks", "bazaar",
    )  # fmt: skip
    assert clicks.path == "models/staging/web/stg_clicks.sql"
    assert clicks.patch_path == "models/staging/web/web.yml"
    assert clicks.fqn == ("bazaar", "staging", "web", "stg_clicks")
    assert clicks.tags == ("staging", "every-hour", "pii")
    assert (clicks.materialized, clicks.version, clicks.access) == ("view", None, "protected")
    assert clicks.relation_name == '"jaffle"."main"."stg_clicks"'
    assert clicks.config["meta"]["owner"] == {"team": "web"}
    assert clicks.parents == ("source.bazaar.web.clicks",)
    assert "model.bazaar.sessions" in clicks.children
    assert BAZAAR.nodes["model.bazaar.purchases.v2"].version == 2
    assert BAZAAR.nodes["unit_test.bazaar.stg_clicks.clicks_are_kept"].tags == ("quick",)


@pytest.mark.parametrize(
    ("version", "latest", "standing"),
    [
        (2, 2, "latest"),
        (10, 9, "prerelease"),
        ("1.5", 2, "old"),
        ("beta", "alpha", "prerelease"),
        (None, None, "none"),
        (0, 1, None),
    ],
)
def test_a_version_seen_from_the_latest(version: Any, latest: Any, standing: str | None) -> None:
    versions = {"version": version, "latest_version": latest}
    read = manifest({"model.a": [], "unit_test.b": []}, a=versions, b=versions)
    assert read.nodes["model.a"].standing == standing
    assert read.nodes["unit_test.b"].standing is None
    assert read.nodes["unit_test.b"].version is None, "the version belongs to the model"


def test_parents_come_before_their_children() -> None:
    seen: set[str] = set()
    for unique_id, node in BAZAAR.nodes.items():
        assert seen.issuperset(node.parents), unique_id
        seen.add(unique_id)


def test_nodes_that_dbt_does_not_run() -> None:
    models = [n for n in BAZAAR.nodes.values() if n.resource_type == "model"]
    not_run = {n.name for n in models if not n.is_runnable}
    assert not_run == {"stg_visits", "nothing_yet"}
    assert BAZAAR.nodes["model.bazaar.stg_visits"].is_ephemeral
    assert BAZAAR.nodes["model.bazaar.nothing_yet"].is_empty
    seed = BAZAAR.nodes["seed.bazaar.rates"]
    assert seed.is_runnable, "a seed without code is not empty"


def test_disabled_nodes_are_absent() -> None:
    """So is the test of a disabled model, which dbt leaves among the enabled nodes."""
    assert not [u for u in BAZAAR.nodes if "old" in u or "switched_off" in u]
    assert "not_null_old_id" in FIXTURE.read_text()


def test_a_parent_that_is_not_in_the_manifest_is_none() -> None:
    one = manifest({"model.a": ["model.gone", "model.gone"]})
    assert one.nodes["model.a"].parents == ()


def test_edges_lead_through_nodes_that_are_not_chosen() -> None:
    a_to_e = manifest(
        {
            "model.e": ["model.d", "model.a"],
            "model.d": ["model.c", "model.b"],
            "model.c": ["model.a"],
            "model.b": [],
            "model.a": [],
        }
    )
    assert a_to_e.nearest_ancestors(["model.e", "model.a", "model.b"]) == {
        "model.a": (),
        "model.b": (),
        "model.e": ("model.a", "model.b"),
    }
    assert a_to_e.nearest_ancestors(["model.e", "model.c", "model.a"])["model.e"] == (
        "model.a",
        "model.c",
    )
    assert a_to_e.nearest_ancestors(["model.e"]) == {"model.e": ()}
    assert a_to_e.nearest_ancestors([]) == {}


def test_edges_lead_through_ephemeral_and_empty_models() -> None:
    runnable = [u for u, n in BAZAAR.nodes.items() if n.is_runnable]
    nearest = BAZAAR.nearest_ancestors(runnable)
    assert nearest["model.bazaar.after_nothing"] == ("model.bazaar.stg_shop_clicks",)
    assert nearest["model.bazaar.sessions"] == ("model.bazaar.stg_clicks",)
    assert nearest["model.bazaar.stg_clicks"] == ()


def test_a_chain_is_longer_than_python_may_recurse() -> None:
    length = 2 * sys.getrecursionlimit()
    parents = {f"model.{i}": [f"model.{i - 1}"] if i else [] for i in range(length)}
    chain = manifest(dict(reversed(parents.items())))
    last = f"model.{length - 1}"
    assert chain.nearest_ancestors(["model.0", last])[last] == ("model.0",)


def test_the_tests_of_a_node_depend_on_it() -> None:
    clicks, rates, finance = (
        BAZAAR.nodes[unique_id].children
        for unique_id in ("model.bazaar.stg_clicks", "seed.bazaar.rates", "model.bazaar.finance")
    )
    assert {unique_id for unique_id in clicks if BAZAAR.nodes[unique_id].is_test} == {
        "test.bazaar.unique_stg_clicks_id.66b20862a6",
        "test.bazaar.not_null_stg_clicks_id.3029dc3c97",
        "unit_test.bazaar.stg_clicks.clicks_are_kept",
    }
    assert "test.bazaar.finance_adds_up" in rates
    assert "test.bazaar.finance_adds_up" in finance


def test_a_test_has_one_owner() -> None:
    relationships = next(u for u in BAZAAR.nodes if u.startswith("test.bazaar.relationships_"))
    assert BAZAAR.owner(relationships) == "model.bazaar.ledger", (
        "dbt attached the test to this model"
    )
    assert BAZAAR.owner(relationships, {"model.bazaar.purchases.v2"}) == "model.bazaar.purchases.v2"
    assert BAZAAR.owner(relationships, {"model.bazaar.top"}) is None
    assert BAZAAR.owner("test.bazaar.finance_adds_up") == "model.bazaar.finance"
    assert BAZAAR.owner("test.bazaar.of_no_model") is None


def test_a_generic_test_belongs_to_its_model_and_not_to_the_last_parent() -> None:
    two = manifest(
        {"model.a": [], "model.b": ["model.a"], "test.t": ["model.a", "model.b"], "test.u": []},
        t={"attached_node": "model.a"},
    )
    assert two.owner("test.t") == "model.a"
    plain = manifest({"model.a": [], "model.b": ["model.a"], "test.t": ["model.b", "model.a"]})
    assert plain.owner("test.t") == "model.b"
    assert plain.owner("test.t", ["model.a"]) == "model.a"


def test_tests_go_with_any_of_their_parents_or_with_all() -> None:
    tree = manifest(
        {
            "model.a": [],
            "model.b": ["model.a"],
            "test.of_a": ["model.a"],
            "test.of_both": ["model.a", "model.b"],
            "unit_test.of_b": ["model.b"],
            "test.of_none": [],
        }
    )
    assert tree.tests(["model.a"]) == {"model.a": ("test.of_a", "test.of_both")}
    assert tree.tests(["model.a"], "cautious") == {"model.a": ("test.of_a",)}
    both = {"model.a": ("test.of_a",), "model.b": ("test.of_both", "unit_test.of_b")}
    assert {o: tuple(sorted(t)) for o, t in tree.tests(["model.a", "model.b"]).items()} == both
    assert tree.tests(["model.a", "model.b"], "cautious").keys() == both.keys()
    assert tree.tests([]) == {}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"metadata": {"dbt_schema', ["is not JSON", "dbt parse"]),
        ("", ["is not JSON"]),
        ("[]", ["not an artifact of dbt", "target/manifest.json"]),
        ('{"nodes": {}}', ["not an artifact of dbt"]),
        ('{"metadata": {"dbt_schema_version": 3}}', ["not an artifact of dbt"]),
        (
            {"dbt_schema_version": "https://schemas.getdbt.com/dbt/run-results/v6.json"},
            ["run_results.json, not its manifest", "target/manifest.json"],
        ),
        (
            {
                "dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v10.json",
                "dbt_version": "1.6.1",
            },
            ["v10", "dbt 1.6.1", "dbt parse", "1.7"],
        ),
    ],
)
def test_a_file_that_is_no_manifest_is_named(
    content: str | dict[str, str], words: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "some.json"
    text = content if isinstance(content, str) else json.dumps({"metadata": content, "nodes": {}})
    path.write_text(text)
    with pytest.raises(ManifestError) as raised:
        Manifest.read(path)
    for word in [str(path), *words]:
        assert word in str(raised.value)
    assert gc.isenabled()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"no manifest at .*gone\.json: run `dbt parse`"):
        Manifest.read(tmp_path / "gone.json")
    with pytest.raises(ManifestError, match="cannot be read"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize(
    "nodes",
    [
        [],
        "nodes",
        {"model.a": None},
        {"model.a": {}},
        {"model.a": {"depends_on": {"nodes": [[]]}}},
        {"model.a": {"config": 3}},
    ],
)
def test_a_manifest_that_dbt_did_not_write(nodes: Any) -> None:
    document = {"metadata": METADATA, "nodes": nodes}
    if not nodes:
        assert not Manifest.from_json(document).nodes
        return
    with pytest.raises(ManifestError, match="does not have the form of a manifest"):
        Manifest.from_json(document)


def test_a_circle_is_no_graph() -> None:
    with pytest.raises(ManifestError, match=r"model\.[ab] in .* depends on itself"):
        manifest({"model.a": ["model.b"], "model.b": ["model.a"], "model.c": []})


def test_not_a_number_is_read(tmp_path: Path) -> None:
    """dbt copies a `.nan` of a YAML file, which is not JSON."""
    node = {
        "resource_type": "model",
        "name": "a",
        "package_name": "shop",
        "original_file_path": "models/a.sql",
        "fqn": ["shop", "a"],
        "config": {"meta": {"limit": float("nan")}},
    }
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"metadata": METADATA, "nodes": {"model.a": node}}))
    assert list(Manifest.read(path).nodes) == ["model.a"]


def test_a_newer_manifest_of_a_dbt_without_a_version_is_read() -> None:
    schema = "https://schemas.getdbt.com/dbt/manifest/v20.json"
    newer = Manifest.from_json({"metadata": {"dbt_schema_version": schema}, "nodes": {}})
    assert newer.dbt_version > (1, 12)
    assert not newer.is_v2
    assert newer.nodes == {}
