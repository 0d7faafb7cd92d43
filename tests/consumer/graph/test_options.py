"""The options of a node's task, as dbt's `meta` has them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from support.nodes import document, node

from dbt_relay.consumer.graph.manifest import Manifest
from dbt_relay.consumer.graph.options import OPTIONS, OptionError, task_options

ORDERS = "model.p.orders"


def options(meta: Any, /, **fields: Any) -> dict[str, Any]:
    """The keywords for a model with this meta."""
    raw = node(
        ORDERS,
        patch_path="p://models/shop.yml",
        config={"meta": meta, "group": fields.pop("group", None)},
        **fields,
    )
    groups = {"group.p.finance": {"name": "finance", "owner": {"email": "f@x.org"}}}
    whole = document(raw, groups=groups)
    return task_options(Manifest.from_json(whole).nodes[ORDERS])


def test_every_option_becomes_a_keyword_of_airflow() -> None:
    given = {
        "pool": "warehouse",
        "pool_slots": 2,
        "queue": "big",
        "executor": "CeleryExecutor",
        "owner": "ann",
        "priority_weight": 10,
        "weight_rule": "absolute",
        "retries": 0,
        "retry_delay": 30,
        "execution_timeout": "01:30:00",
        "doc": "Ask **Ann**.",
        "display_name": "The orders",
    }
    found = options({"airflow": given})
    assert found == {
        **{name: given[name] for name in given if name not in ("doc", "display_name")},
        "retry_delay": timedelta(seconds=30),
        "execution_timeout": timedelta(hours=1, minutes=30),
        "doc_md": "Ask **Ann**.",
        "task_display_name": "The orders",
    }
    assert found.keys() == {keyword for keyword, *_ in OPTIONS.values()}


@pytest.mark.parametrize(
    "meta", [None, {}, [], "x", {"airflow": None}, {"airflow": {"pool": None}}]
)
def test_nothing_given_is_nothing_asked(meta: Any) -> None:
    assert options(meta) == {}


def test_airflow_s_own_options_win_over_those_for_cosmos() -> None:
    of_cosmos = {"operator_kwargs": {"pool": "old", "queue": "big", "install_deps": True}}
    found = options({"airflow": {"pool": "new"}, "cosmos": {**of_cosmos, "profile_config": {}}})
    assert found == {"pool": "new", "queue": "big"}


def test_meta_counts_where_older_versions_of_dbt_have_it() -> None:
    """The manifest of dbt 1.9 has the meta of a source only beside its config."""
    assert options(None, meta={"airflow": {"queue": "big"}}) == {"queue": "big"}
    assert options({"airflow": {"queue": "new"}}, meta={"airflow": {"queue": "old"}}) == {
        "queue": "new"
    }


@pytest.mark.parametrize(
    ("owner", "group", "expected"),
    [
        ("ann", None, "ann"),
        ({"name": "Ann", "email": "a@x.org"}, None, "Ann"),
        ({"email": "a@x.org"}, "finance", "a@x.org"),
        (None, "finance", "f@x.org"),
        (7, "finance", "f@x.org"),
        (None, "no such group", None),
        ({}, None, None),
    ],
)
def test_the_owner_in_dbt_is_the_tasks_owner(owner: Any, group: Any, expected: Any) -> None:
    assert options({"owner": owner}, group=group).get("owner") == expected
    ours = options({"owner": owner, "airflow": {"owner": "me"}}, group=group)
    assert ours["owner"] == "me"


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(90, 90), (0.5, 0.5), ("00:01:30", 90), ("100:00:00", 360000), ("PT90S", 90), ("P1D", 86400),
     ("PT1H30M", 5400), ("P1DT1S", 86401)],
)  # fmt: skip
def test_a_duration_has_three_forms(given: Any, seconds: float) -> None:
    found = options({"airflow": {"execution_timeout": given}})
    assert found == {"execution_timeout": timedelta(seconds=seconds)}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("execution_timeout", v) for v in ("", "90", "1:30", "00:90:00", "P", "PT", "P1W", "1h",
            "P1DT", "PT1.5H", "-1:00:00", f"PT{'9' * 5000}S", "PT999999999H", 0, -1, True, [1], {},
            float("nan"), float("inf"), 1e300)),
        *(("retries", v) for v in ("3", 2.5, -1, True, [], 2**70)),
        *(("pool_slots", v) for v in (0, -1, "1", False)),
        *(("priority_weight", v) for v in ("high", 1.5, True)),
        *(("weight_rule", v) for v in ("down", 1, [])),
        *(("pool", v) for v in ("", 1, True, ["a"], {})),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("place", "around"),
    [
        ("meta.airflow", lambda given: {"airflow": given}),
        ("meta.cosmos.operator_kwargs", lambda given: {"cosmos": {"operator_kwargs": given}}),
    ],
)
def test_a_wrong_value_is_an_error_that_names_node_file_and_option(
    option: str, value: Any, place: str, around: Any
) -> None:
    with pytest.raises(OptionError) as raised:
        options(around({option: value}))
    for word in (ORDERS, "models/shop.yml", f"{place}.{option}", repr(value), "must be"):
        assert word in str(raised.value)


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        ({"airflow": {"retrys": 1}}, ["meta.airflow.retrys", "not an option", "retries"]),
        ({"airflow": {"task_id": "x"}}, ["meta.airflow.task_id", "not an option"]),
        ({"airflow": "fast"}, ["meta.airflow is 'fast'"]),
        ({"airflow": ["pool"]}, ["meta.airflow is ['pool']"]),
        ({"cosmos": 1}, ["meta.cosmos is 1"]),
        ({"cosmos": {"operator_kwargs": []}}, ["meta.cosmos.operator_kwargs is []"]),
    ],
)
def test_an_option_that_does_not_exist_is_an_error(meta: Any, words: list[str]) -> None:
    with pytest.raises(OptionError) as raised:
        options(meta)
    for word in (ORDERS, "models/shop.yml", *words):
        assert word in str(raised.value)
