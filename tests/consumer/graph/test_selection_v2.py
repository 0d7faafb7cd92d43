"""What dbt v2 selects otherwise than dbt 1.x. tests/real_dbt/test_selection_v2.py asks v2."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.manifests import BAZAAR, FIXTURE, FIXTURE_V2

from dbt_relay.consumer.graph.description import describe
from dbt_relay.consumer.graph.manifest import Manifest
from dbt_relay.consumer.graph.methods import SelectionError
from dbt_relay.consumer.graph.plan import plan
from dbt_relay.consumer.graph.selection import select

if TYPE_CHECKING:
    from pathlib import Path

V1 = Manifest.read(FIXTURE)
V2 = Manifest.read(FIXTURE_V2)


def names(manifest: Manifest, *given: Any, **options: Any) -> set[str]:
    """The selected nodes without package and digest."""
    return {u.split(".")[2] for u in select(manifest, *given, **options).unique_ids}


@pytest.mark.parametrize(
    ("wanted", "only_v1", "only_v2"),
    [
        ("nothing_yet", {"nothing_yet"}, set()),
        ("stag*", {"stg_clicks", "stg_visits"}, set()),
        ("model.bazaar.top", set(), {"top"}),
        ("nonsense.purchases.v1", {"purchases"}, set()),
        ("ledger,", set(), {"ledger"}),
        ("@legacy.report", {"legacy", "stg_visits"}, set()),
        ("@+ledger", {"finance", "board"}, set()),
        ("path:seeds", {"raw_orders"}, set()),
        ("path:dbt_packages/jaffle/seeds", set(), {"raw_orders"}),
        ("models/*/stg_*.sql", set(), {"stg_clicks"}),
        ("models/**.sql", {"top"}, set()),
        ("file:marts", {"not_null_ledger_order_id"}, set()),
        ("file:not_null_ledger*", set(), {"not_null_ledger_order_id"}),
        ("group:*_team", {"ledger"}, set()),
        ("group:finance_team", set(), {"not_null_ledger_order_id"}),
        ("access:private", set(), {"is_big"}),
        ("config.meta.level:3", set(), {"stg_clicks"}),
        ("config.materialized:tab*", set(), {"ledger"}),
        ("config.severity:warn", {"not_null_stg_clicks_id"}, set()),
        ("config.contract.enforced:false", {"top"}, set()),
        ("test_type:schema", {"not_null_ledger_order_id"}, set()),
        ("test_name:finance_*", set(), {"finance_adds_up"}),
    ],
)
def test_what_only_one_of_them_selects(wanted: str, only_v1: set[str], only_v2: set[str]) -> None:
    one, two = names(V1, wanted), names(V2, wanted)
    assert one >= only_v1
    assert two >= only_v2
    assert not only_v1 & two
    assert not only_v2 & one


def test_each_term_adds_its_tests_alone() -> None:
    both = "relationships_ledger_order_id__order_id__ref_purchases_v_2_"
    for mode in ("cautious", "buildable"):
        assert both in names(V1, "ledger purchases", indirect_selection=mode)
    assert both not in names(V2, "ledger purchases", indirect_selection="cautious")
    assert both in names(V2, "ledger+ +ledger", indirect_selection="cautious")


@pytest.mark.parametrize("mode", ["eager", "cautious", "buildable", "empty"])
def test_a_test_of_an_excluded_node_is_excluded(mode: Any) -> None:
    chosen = select(V2, None, "finance", indirect_selection=mode).unique_ids
    assert "test.bazaar.finance_adds_up" not in chosen


@pytest.mark.parametrize("wanted", ["+", "1+", "@", "ledger+x", "path:", "version:x", "no:x"])
def test_a_term_that_v2_refuses(wanted: str) -> None:
    with pytest.raises(SelectionError):
        select(V2, wanted)
    assert select(V2, ",").unique_ids == select(V2, "").unique_ids == ()


def project(tmp_path: Path) -> Path:
    """The manifest beside its project."""
    for name in ("dbt_project.yml", "selectors.yml"):
        shutil.copy(BAZAAR / name, tmp_path)
    (tmp_path / "target").mkdir()
    return shutil.copy(FIXTURE_V2, tmp_path / "target" / "manifest.json")


def test_selectors_of_the_project_complete_those_of_the_manifest(tmp_path: Path) -> None:
    with pytest.raises(SelectionError, match=r"put selectors\.yml"):
        select(V2, "selector:union")
    read = Manifest.read(project(tmp_path))
    assert "stg_clicks" in names(read, "selector:union")
    assert read.default_selector is None, "Jinja decides"
    of_ledger = names(read, "ledger", indirect_selection="eager") - {"ledger"}
    assert of_ledger
    assert of_ledger.isdisjoint(names(read, "selector:modes", flag="eager"))
    assert of_ledger <= names(read, "selector:modes", indirect_selection="eager")


def test_a_definition_with_jinja_is_the_manifest_s(tmp_path: Path) -> None:
    manifest = project(tmp_path)
    entries = [
        {"name": "key", "default": True, "definition": {"tag": "{{ var('tag') }}"}},
        {"name": "new", "definition": {"union": ["tag:nightly"], "exclude": ["ledger"]}},
        {"name": "deep", "definition": {"method": "fqn", "value": "top", "parents_depth": 1}},
        "nonsense",
        {"definition": "of no name"},
    ]
    (tmp_path / "selectors.yml").write_text(json.dumps({"selectors": entries}))
    read = Manifest.read(manifest)
    assert read.default_selector == "key"
    assert names(read) == names(V2, "tag:nightly")
    assert names(read, "selector:new") == names(V2, "tag:nightly") - {"ledger"}
    assert names(read, "selector:deep") == {"top", "finance"}


def test_the_flag_of_the_project_has_no_effect(tmp_path: Path) -> None:
    manifest = project(tmp_path)
    file = tmp_path / "dbt_project.yml"
    file.write_text(file.read_text().replace("flags:", "flags:\n  indirect_selection: empty"))
    assert Manifest.read(manifest).indirect_selection == "eager"


def test_a_config_that_the_project_sets_is_found_with_the_value_of_the_default() -> None:
    document = json.loads(FIXTURE_V2.read_bytes())
    document["nodes"]["model.bazaar.top"]["unrendered_config"] = {"contract": {"enforced": False}}
    assert names(Manifest.from_json(document), "config.contract.enforced:false") == {"top"}
    document["nodes"]["model.bazaar.ledger"]["config"]["contract"]["enforced"] = True  # by a macro
    assert names(Manifest.from_json(document), "config.contract.enforced:true") == {"ledger"}


def test_an_option_does_not_decide_the_tests_of_an_exclude(tmp_path: Path) -> None:
    manifest = project(tmp_path)
    nightly, one = {"method": "tag", "value": "nightly"}, {"method": "fqn", "value": "ledger"}
    empty = {"indirect_selection": "empty"}
    entries = [
        {"name": "plain", "definition": {**nightly, "exclude": ["ledger"]}},
        {"name": "own", "definition": {**nightly, "exclude": [{**one, **empty}]}},
    ]
    (tmp_path / "selectors.yml").write_text(json.dumps({"selectors": entries}))
    read = Manifest.read(manifest)
    of_both = "relationships_ledger_order_id__order_id__ref_purchases_v_2_"
    assert of_both not in names(read, "selector:plain", indirect_selection="cautious")
    assert of_both in names(read, "selector:own", indirect_selection="cautious")


def test_an_exclude_beside_a_selector() -> None:
    assert names(V2, "selector:key", "top") == names(V2, "tag:nightly") - {"top"}
    with pytest.raises(SelectionError):
        select(V1, "selector:key", "top")


@pytest.mark.parametrize(
    ("named", "folder", "compiled"),
    [
        ("./vendor/", "vendor", "jaffle/vendor/jaffle/models"),
        ("{{ env_var('PACKAGES') }}", "dbt_packages", "jaffle/dbt_packages/jaffle/models"),
    ],
)
def test_packages_in_another_folder(tmp_path: Path, named: str, folder: str, compiled: str) -> None:
    manifest = project(tmp_path)
    with (tmp_path / "dbt_project.yml").open("a") as file:
        file.write(f'packages-install-path: "{named}"\n')
    read = Manifest.read(manifest)
    assert "raw_orders" in names(read, f"path:{folder}/jaffle/seeds")
    assert read.nodes["model.jaffle.orders"].compiled_path == f"{compiled}/marts/orders.sql"


def test_a_plan_has_the_tasks_of_dbt_1_x() -> None:
    one, two = ({t.task_id: t for t in plan(m)} for m in (V1, V2))
    assert one.keys() == two.keys()
    assert all({*one[i].upstream} == {*two[i].upstream} for i in one)
    assert "- `purchases_are_kept.v2`" in describe(two["purchases_v2"])


def test_dbt_v2_compiles_elsewhere() -> None:
    paths = {u.split(".", 1)[1]: node.compiled_path for u, node in V2.nodes.items()}
    test = "not_null_ledger_order_id"
    assert paths[f"bazaar.{test}.8dcb800f1e"] == f"bazaar/target/generic_tests/{test}.sql"
    assert paths["jaffle.orders"] == "jaffle/dbt_packages/jaffle/models/marts/orders.sql"
    assert paths["bazaar.top"] == "bazaar/models/top.sql"


def test_the_version_in_the_manifest_decides() -> None:
    assert "nothing_yet" in names(replace(V2, dbt_version=(1, 12, 6)), "nothing_yet")
