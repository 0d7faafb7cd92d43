"""One message for each owner and run, by root cause; and one when all is green again."""

from __future__ import annotations

import dataclasses
import json

import pytest

from dbt_relay.consumer.alerts import News, Trouble, for_templates, news
from dbt_relay.records.schema import NodeRecord


def failed(name: str, message: str = "Database Error") -> NodeRecord:
    return NodeRecord(unique_id=name, status="error", outcome="failure", message=message)


def skipped(name: str, cause: str | None, why: str = "upstream_failed") -> NodeRecord:
    return NodeRecord(
        unique_id=name, status="skipped", outcome="skipped", skip_cause=why, caused_by=cause
    )


def troubles(*pairs: tuple[NodeRecord, str]) -> list[Trouble]:
    return [t for record, owner in pairs if (t := Trouble.of(record, owner))]


def after(before: News, found: list[Trouble], run_id: str) -> News:
    """The news of a later run, with what Airflow has kept in between."""
    return news(found, json.loads(json.dumps(before.told_to_json())), run_id)


def test_forty_skips_are_one_line() -> None:
    skips = [(skipped(f"model.shop.m{n}", "model.shop.base"), "ann") for n in range(40)]
    found = troubles((failed("model.shop.base", "Database Error\n  no column x"), "ann"), *skips)
    assert news(found, {}, "one").messages == {
        "ann": "model.shop.base failed; 40 nodes were skipped for it\n"
        "  Database Error\n    no column x"
    }


def test_each_owner_hears_of_the_own_nodes_and_of_whose_node_is_the_cause() -> None:
    found = troubles(
        (failed("model.shop.base", "no table"), "ann"),
        (failed("test.shop.sums", "Got 3 results"), "bob"),
        (skipped("model.shop.report", "model.shop.base"), "bob"),
    )
    assert news(found, {}, "one").messages == {
        "ann": "model.shop.base failed\n  no table",
        "bob": "test.shop.sums failed\n  Got 3 results\n"
        "model.shop.base (of ann) failed; 1 node was skipped for it\n  no table",
    }


@pytest.mark.parametrize(
    ("record", "is_trouble"),
    [
        (failed("a"), True),
        (NodeRecord(unique_id="a", status="interrupted", outcome="interrupted"), True),
        (NodeRecord(unique_id="a", status="odd", outcome="warning"), True),
        (skipped("a", "b"), True),
        (skipped("a", None, "no_changes"), False),
        (NodeRecord(unique_id="a", status="success", outcome="success"), False),
        (NodeRecord(unique_id="a", status="warn", outcome="warning"), False),
    ],
)
def test_what_is_no_success_is_trouble(record: NodeRecord, is_trouble: bool) -> None:
    assert (Trouble.of(record, "ann") is not None) is is_trouble


def test_an_owner_hears_once_of_a_run_and_again_of_the_next() -> None:
    found = troubles((failed("a"), "ann"))
    first = news(found, {}, "one")
    assert first.messages
    assert not after(first, found, "one").messages
    assert after(first, found, "two").messages == first.messages
    assert after(first, troubles((failed("b"), "ann")), "one").messages.keys() == {"ann"}


def test_an_owner_hears_once_that_all_is_green_again() -> None:
    both = troubles((failed("a"), "ann"), (failed("b"), "ann"), (failed("c"), "bob"))
    first = news(both, {}, "one")
    bobs = after(first, both[2:], "two")
    assert bobs.messages["ann"] == "Green again: a, b"
    assert bobs.messages["bob"] == "c failed\n  Database Error"
    green = after(bobs, [], "three")
    assert green.messages == {"bob": "Green again: c"}
    assert after(green, [], "four").messages == {}


@pytest.mark.parametrize("told", [{"ann": None}, {"ann": 3}, {"ann": {"causes": "a"}}])
def test_what_somebody_else_left_in_the_variable_stops_no_message(told: dict[str, object]) -> None:
    assert news(troubles((failed("a"), "ann")), told, "one").messages.keys() == {"ann"}


def test_a_message_is_safe_and_short() -> None:
    found = troubles((failed("a", "::group::\x1b[31mred" + "x" * 10_000), "ann"))
    text = news(found, {}, "one").messages["ann"]
    assert "\x1b" not in text
    assert "::group::" not in text
    assert len(text) < 700
    assert "more characters" in text


def test_a_template_finds_every_field_and_a_message() -> None:
    record = failed("model.shop.base", "no column x")
    known, unknown = for_templates("a", "why", record), for_templates("a")
    assert (known["unique_id"], known["message"]) == ("model.shop.base", "no column x")
    assert unknown["message"]
    fields = {field.name for field in dataclasses.fields(NodeRecord)}
    assert fields <= known.keys() & unknown.keys()
    silent = NodeRecord(unique_id="a", status="skipped", outcome="skipped")
    assert for_templates("a", "why", silent)["message"] == "why"
