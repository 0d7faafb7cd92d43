"""dbt's selection grammar. tests/real_dbt/test_selection.py compares it with dbt itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.manifests import FIXTURE

from dbt_relay.consumer.graph.criterion import Criterion, Relatives
from dbt_relay.consumer.graph.manifest import Manifest
from dbt_relay.consumer.graph.methods import METHODS, SelectionError
from dbt_relay.consumer.graph.selection import select

BAZAAR = Manifest.read(FIXTURE)
PURCHASES = {"purchases.v1", "purchases.v2", "purchases.v3"}


def names(
    wanted: str | list[str] | None, exclude: str | list[str] | None = None, kind: str = "model"
) -> set[str]:
    """The selected nodes of one kind, without their package."""
    selected = select(BAZAAR, wanted, exclude).unique_ids
    parted = [u.split(".", 2) for u in selected]
    return {name for of_kind, _, name in parted if of_kind == kind}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("ledger", {"ledger"}),
        ("staging.web", {"stg_clicks", "stg_visits"}),
        ("web", set()),
        ("finance", {"finance"}),
        ("marts.finance", {"finance", "ledger", "legacy.report"}),
        ("staging.web.stg_clicks", {"stg_clicks"}),
        ("bazaar.staging.web.stg_clicks", {"stg_clicks"}),
        ("staging.stg_clicks", set()),
        ("stg_c*", {"stg_clicks", "stg_customers"}),
        ("bazaar.staging.*clicks", {"stg_clicks", "stg_shop_clicks"}),
        ("legacy.report", {"legacy.report"}),
        ("purchases", PURCHASES),
        ("purchases.v2", {"purchases.v2"}),
        ("purchases_v2", {"purchases.v2"}),
        ("ledger stg_clicks", {"ledger", "stg_clicks"}),
        ("ledger\n  stg_clicks\t", {"ledger", "stg_clicks"}),
        (["ledger", "stg_clicks top"], {"ledger", "stg_clicks", "top"}),
        ("tag:pii,tag:staging", {"stg_clicks"}),
        ("tag:pii,ledger", set()),
        ("+sessions", {"sessions", "stg_clicks", "stg_visits"}),
        ("ledger+1,resource_type:model", {"ledger", "finance", "day_totals"}),
        ("1+finance", {"finance", "ledger", "sessions"}),
        ("@nothing_yet", {"nothing_yet", "after_nothing", "stg_shop_clicks", "skipped_on_purpose"}),
        ("models/staging/web", {"stg_clicks", "stg_visits"}),
        ("to[.p]", set()),
        ("path:models/staging/web/*_v*.sql", {"stg_visits"}),
        ("path:models/staging/web/", {"stg_clicks", "stg_visits"}),
        ("path:models/top.sql/", set()),
        ("path:models/staging/web/web.yml", {"stg_clicks", "stg_visits"}),
        ("path:models/staging,package:jaffle", {"stg_customers", "stg_orders", "stg_payments"}),
        ("path:models/staging/stg_orders.sql", set()),  # only the package has this file
        ("1+path:dbt_project.yml", {"ledger", "legacy.report"}),  # the models that its hook reads
        ("path:models/**/web", {"stg_clicks", "stg_visits"}),
        ("stg_clicks.sql", {"stg_clicks"}),
        ("file:stg_v*", {"stg_visits"}),
        ("config.materialized:ephemeral", {"stg_visits"}),
        ("config.meta.owner.team:web", {"stg_clicks"}),
        ("config.meta.kinds:raw", {"stg_clicks"}),
        ("config.meta.live:true", {"stg_clicks"}),
        ("config.meta.flags:false", {"stg_clicks"}),
        ("version:latest", {"purchases.v2"}),
        ("version:prerelease", {"purchases.v3"}),
        ("version:old", {"purchases.v1"}),
        ("group:web_team", {"sessions"}),
        ("access:private", {"top"}),
        ("package:jaffle,staging", {"stg_customers", "stg_orders", "stg_payments"}),
        ("exposure:board", set()),
        ("source:web.clicks+1", {"stg_clicks"}),
    ],
)  # fmt: skip
def test_terms(wanted: str | list[str], expected: set[str]) -> None:
    assert names(wanted) == expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("test_type:unit", {"stg_clicks.clicks_are_kept", "purchases.purchases_are_kept_v2"}),
        ("unit_test:clicks*", {"stg_clicks.clicks_are_kept"}),
        ("tag:quick", {"stg_clicks.clicks_are_kept"}),
    ],
)
def test_terms_of_unit_tests(wanted: str, expected: set[str]) -> None:
    assert names(wanted, kind="unit_test") == expected


def test_without_a_selection_all_nodes_but_hooks_are_selected() -> None:
    hooks = {u for u, n in BAZAAR.nodes.items() if n.resource_type == "operation"}
    assert hooks
    for nothing in (None, [], ()):
        assert set(select(BAZAAR, nothing).unique_ids) == BAZAAR.nodes.keys() - hooks
    assert select(BAZAAR, "hooks").unique_ids == ()


def test_excluded_nodes_are_not_selected() -> None:
    assert names("+sessions", "stg_clicks stg_v*") == {"sessions"}
    assert "ledger" not in names(None, ["path:models/marts", "tag:raw"])


def test_parents_come_before_their_children() -> None:
    order = {u: place for place, u in enumerate(BAZAAR.nodes)}
    selected = select(BAZAAR, "+top stg_shop_clicks+").unique_ids
    assert list(selected) == sorted(selected, key=order.__getitem__)


def test_terms_that_match_nothing_are_listed() -> None:
    found = select(BAZAAR, "ledger no_such tag:pii,ledger +no_such", "tag:none finance")
    assert found.unmatched == ("no_such", "tag:pii,ledger", "+no_such", "tag:none")
    assert select(BAZAAR, "ledger").unmatched == ()


def test_a_blank_selection_matches_nothing() -> None:
    """As in dbt: an empty variable must not run the whole project."""
    assert select(BAZAAR, " ").unique_ids == ()
    assert select(BAZAAR, "").unmatched == ("",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", Criterion("fqn", (), "a", Relatives())),
        ("2+a+3", Criterion("fqn", (), "a", Relatives(2, 3))),
        ("+a+", Criterion("fqn", (), "a", Relatives(float("inf"), float("inf")))),
        ("0+a", Criterion("fqn", (), "a", Relatives())),
        ("@tag:a", Criterion("tag", (), "a", Relatives(with_parents_of_children=True))),
        ("config.meta.x:a:b", Criterion("config", ("meta", "x"), "a:b", Relatives())),
        ("a/b.sql", Criterion("path", (), "a/b.sql", Relatives())),
        ("b.CSV", Criterion("file", (), "b.CSV", Relatives())),
        ("a+b", Criterion("fqn", (), "a+b", Relatives())),
    ],
)
def test_a_criterion(text: str, expected: Criterion) -> None:
    assert Criterion.parse(text) == expected


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("state:modified+", ["earlier runs", "`dbt ls --select state:modified+`"]),
        ("result:error", ["'result'", "dbt ls"]),
        ("1+source_status:fresher+", ["'source_status'"]),
        ("selector:nightly", ["selector", "selectors.yml"]),
        ("a,tags:b", ["'tags'", *METHODS]),
        ("@a+", ["@", "+"]),
        ("version:newest", ["version:newest", "latest"]),
        ("test_type:fast", ["test_type:fast", "singular"]),
        ("resource_type:table", ["resource_type:table", "snapshot"]),
        ("source:a.b.c.d", ["too many dots", "source:name.table"]),
        ("exposure:a.b.c", ["too many dots", "exposure:package.name"]),
        ("path:", ["path:models/staging"]),
        ("/models", ["path:models/staging"]),
        (f"{'9' * 5000}+a", ["generations"]),
    ],
)  # fmt: skip
def test_a_refused_selection_says_what_to_do(wanted: str, words: list[str]) -> None:
    for given in ({"select": wanted}, {"exclude": wanted}):
        with pytest.raises(SelectionError) as raised:
            select(BAZAAR, **given)
        for word in words:
            assert word in str(raised.value)


@pytest.mark.parametrize(
    ("version", "wanted", "matches"),
    [
        ((1, 7, 20), "stg_c*", False),
        ((1, 10, 23), "stg_c*", False),
        ((1, 11, 15), "stg_c*", False),
        ((1, 11, 16), "stg_c*", True),
        ((1, 12, 5), "stg_c*", False),
        ((1, 12, 6), "stg_c*", True),
        ((2, 0, 0), "stg_c*", True),
        ((1, 7, 20), "*stg_c*", True),
        ((1, 7, 20), "package:this", False),
        ((1, 8, 8), "package:this", True),
        ((1, 7, 20), "group:web*", False),
        ((1, 7, 20), "group:web_team", True),
        ((1, 8, 8), "group:web*", True),
        ((1, 7, 20), "test_type:data,not_null_*", False),
        ((1, 7, 20), "test_type:data,*not_null_*", False),
        ((1, 8, 8), "test_type:data,*not_null_*", True),
    ],
)
def test_selection_follows_the_version_of_dbt(
    version: tuple[int, ...], wanted: str, matches: bool
) -> None:
    """The dbt that wrote the manifest will run the selection."""
    assert bool(select(replace(BAZAAR, dbt_version=version), wanted).unique_ids) == matches


def test_a_selector_is_a_selection_of_its_own() -> None:
    """tests/real_dbt/test_selection.py compares all of them with dbt."""
    assert names("selector:key") == names("tag:nightly")
    assert names("selector:text") == names("2+tag:nightly+1")
    assert names(["selector:excludes"]) == names("2+ledger", "stg_clicks")


def of(selectors: dict[str, Any], version: tuple[int, ...] = (1, 11), **more: Any) -> Manifest:
    return replace(BAZAAR, selectors=selectors, dbt_version=version, **more)


@pytest.mark.parametrize("nothing", [None, [], ()])
def test_without_options_the_default_selector_selects(nothing: Any) -> None:
    every = of({"a": "ledger"}, default_selector="a")
    ledger = select(every, "ledger").unique_ids
    assert select(every, nothing, nothing).unique_ids == ledger
    assert select(every, "").unique_ids == ()
    assert set(select(every, nothing, "ledger").unique_ids) == (
        set(select(BAZAAR).unique_ids) - set(ledger)
    )


def test_a_selector_s_own_mode_decides_about_its_tests() -> None:
    clicks = {"method": "fqn", "value": "stg_clicks"}
    modes = ("eager", "cautious", "buildable", "empty")
    every = of({mode: {**clicks, "indirect_selection": mode} for mode in modes} | {"none": clicks})
    for own in modes:
        expected = select(every, "stg_clicks", indirect_selection=own).unique_ids
        for flag in modes:
            assert select(every, f"selector:{own}", indirect_selection=flag).unique_ids == expected
        assert select(every, "selector:none", indirect_selection=own).unique_ids == expected


@pytest.mark.parametrize(
    "wanted",
    ["selector:a ledger", "+selector:a", "selector:a+", "selector:a,ledger", "@selector:a"],
)
def test_only_dbt_1_12_combines_selectors(wanted: str) -> None:
    assert (
        "model.bazaar.finance" in select(of({"a": "finance+"}, (1, 12)), "1+selector:a").unique_ids
    )
    for version in ((1, 11, 16), (2, 0, 0)):
        for given in ({"select": wanted}, {"exclude": "selector:a"}):
            with pytest.raises(SelectionError, match="alone"):
                select(of({"a": "finance"}, version), **given)


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        ({"method": "state", "value": "new"}, ["'state'", "earlier runs"]),
        ({"method": "tags", "value": "x"}, ["no method 'tags'"]),
        ({"method": "config", "value": "view"}, ["which config"]),
        ({"method": "tag", "value": None}, ["no value"]),
        ({"method": "tag", "value": ["a"]}, ["no value"]),
        ({"method": "tag", "value": "a", "indirect_selection": "lazy"}, ["indirect_selection"]),
        ({"method": "tag", "value": "a", "parents": True, "parents_depth": "x"}, ["generations"]),
        ({"method": "tag", "value": "a", "children": 1, "childrens_parents": 1}, ["both"]),
        ({"exclude": ["a"], "method": "tag"}, ["not a selection"]),
        ({"union": "a"}, ["no method 'union'"]),
        ({"method": "selector", "value": "b"}, ["no selector 'b'", "it has: a"]),
        ({"union": [{"method": "selector", "value": "a"}]}, ["'a' refers to itself"]),
        (7, ["not a selection"]),
        (None, ["not a selection"]),
        ("@a+", ["@"]),
    ],
)
@pytest.mark.parametrize("version", [(1, 11), (1, 12)])
def test_a_refused_selector_says_why(
    definition: Any, words: list[str], version: tuple[int, ...]
) -> None:
    with pytest.raises(SelectionError) as raised:
        select(of({"a": definition}, version), "selector:a")
    for word in words:
        assert word in str(raised.value)
