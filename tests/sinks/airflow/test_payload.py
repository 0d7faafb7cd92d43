"""Values that every database behind every Airflow 3 takes, and whose readers see the same."""

from __future__ import annotations

import json
import re
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import example, given
from support.airflow_faults import RESERVED, refusal

from dbt_relay.sinks.airflow.payload import cut, safe, xcom_value

RESERVED_WORDS = st.sampled_from(sorted(RESERVED))
TEXTS = (
    st.text(st.characters(), max_size=20)
    | RESERVED_WORDS
    | RESERVED_WORDS.map(lambda word: f" {word} ")
    | RESERVED_WORDS.map(lambda word: json.dumps({word: 1}))
    | RESERVED_WORDS.map(lambda word: " \n" + json.dumps([{"a": {word: []}}]))
    | RESERVED_WORDS.map(lambda word: json.dumps({"a": json.dumps({word: 1})}))
    | RESERVED_WORDS.map(lambda word: json.dumps(json.dumps({word: 1})))
    | RESERVED_WORDS.map(lambda word: '{"\\u005f' + word[1:] + '": 1}')
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for k, v in value.items() for leaf in (k, *leaves(v))]
    if isinstance(value, list):
        return [leaf for v in value for leaf in leaves(v)]
    return [value]


@given(VALUES)
@example({"a": '{"__var": 1}'})
@example(['{"\\u005f_var": 1}'])
@example({"__type": {" __var": "\0"}})
@example(float("nan"))
@example(2**63)
def test_any_value_is_taken(value: Any) -> None:
    made = safe(value)
    assert refusal(made) is None
    assert json.loads(json.dumps(made, allow_nan=False)) == made, "the same for who reads it"
    for leaf in leaves(made):
        if isinstance(leaf, str):
            assert "\0" not in leaf
            leaf.encode()
        elif isinstance(leaf, int):
            assert -(2**63) <= leaf < 2**63


@given(VALUES)
def test_made_safe_twice_is_made_safe(value: Any) -> None:
    assert safe(safe(value)) == safe(value)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_texts_are_left_alone(text: str) -> None:
    """All but those that look like JSON; those read the same."""
    made = safe({"message": text})["message"]
    assert made == text or (made == "\u200b" + text and text.lstrip()[0] in "{[")


@pytest.mark.parametrize(
    "text",
    ['{"a": 1}', "[1, 2]", "[0m red", '"quoted"', 'Error: {"__var": 1}', "__var", "{{ __var"],
)
def test_which_texts_are_left_alone(text: str) -> None:
    assert safe(text).lstrip("\u200b") == text
    assert safe(text) == text or "__var" in text


def test_what_becomes_of_what() -> None:
    nan, infinity = float("nan"), float("inf")
    assert safe({"a": nan, "b": [infinity, -infinity, 0.5], "c": True}) == {
        "a": None,
        "b": [None, None, 0.5],
        "c": True,
    }
    assert safe("a\0b\ud800c😀") == "a\ufffdb\ufffdc😀"
    assert safe({"__var": {"__type": 1}}) == {"___var": {"___type": 1}}
    assert safe(2**70) == str(2**70)
    assert safe('{"__var": 1}') == '\u200b{"__var": 1}'


def test_what_is_too_deep_for_a_database() -> None:
    deep: Any = "bottom"
    for _ in range(3000):
        deep = [deep]
    made = json.dumps(safe({"adapter_response": deep}))
    assert "bottom" not in made
    assert "too deep" in made
    assert refusal(safe("[" * 100_000)) is None


@given(st.text("a\n é😀\u200b", max_size=30).map(lambda text: text * 30), st.integers(64, 800))
def test_a_cut_text_is_bounded_and_says_what_is_missing(text: str, most: int) -> None:
    made = cut(text, most)
    assert len(made.encode()) <= most or made == text
    size = len(text.encode())
    if size <= most:
        assert made == text
        return
    marker = re.search(r"\n… (\d+) bytes cut …\n", made)
    assert marker is not None
    head, tail = made[: marker.start()], made[marker.end() :]
    assert text.startswith(head)
    assert text.endswith(tail)
    assert int(marker[1]) == size - len(head.encode()) - len(tail.encode())
    assert len(made.encode()) > most - 20, "as much as there is room for"
    assert len(head) > 0
    assert len(tail) > 0


@given(st.text(max_size=2000), st.integers(256, 1000))
def test_the_message_of_a_record_is_bounded(message: str, most: int) -> None:
    value = xcom_value({"unique_id": "a", "message": message * 20}, most)
    assert len(value["message"].encode()) <= most
    assert refusal(value) is None


def test_fields_that_are_detail_give_way_when_they_are_out_of_all_proportion() -> None:
    record = {"unique_id": "a", "status": "error", "message": "m" * 10**6, "timing": [{"a": 1}]}
    value = xcom_value({**record, "adapter_response": {"query": "q" * 10**6}}, 16_384)
    assert len(json.dumps(value)) < 16_384 + 49_152
    assert "adapter_response" not in value
    assert value["omitted"]["adapter_response"] > 10**6
    assert value["timing"] == [{"a": 1}], "no more than needed gives way"
    assert value["status"] == "error"


def test_an_ordinary_record_is_what_arrives() -> None:
    record = {
        "schema": "dbt-relay/node@1",
        "unique_id": "model.shop.orders",
        "message": "SELECT 42",
        "execution_time": 0.25,
        "adapter_response": {"_message": "SELECT 42", "rows_affected": 42},
    }
    assert xcom_value(record, 16_384) == record
