"""XCom keys: Airflow can pull and clear each of them, and different ids have different keys."""

from __future__ import annotations

import re

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from dbt_relay.records.schema import RunRecord
from dbt_relay.sinks.airflow import check_prefix, xcom_key

ALPHABET = re.compile(r"[A-Za-z0-9_.:-]{1,512}")
RESERVED = {"return_value", RunRecord.key, ".", ".."}
HOSTILE = st.text(st.characters(), max_size=40) | st.text("ab.:/%2F\n\0\ud800é", max_size=12)
IDS = HOSTILE | st.sampled_from(sorted(RESERVED)) | st.text("ab:", min_size=400, max_size=1200)
PREFIXES = st.from_regex(r"[A-Za-z0-9_.:-]{0,200}", fullmatch=True) | st.sampled_from(
    ["", "return_", "dbt_relay_", ".", "x:"]
)


@given(IDS, PREFIXES)
@example("value", "return_")
@example("run", "dbt_relay_")
@example(".", ".")
@example("", ".")
def test_any_id_makes_a_key_that_airflow_can_handle(unique_id: str, prefix: str) -> None:
    key = xcom_key(unique_id, prefix)
    assert ALPHABET.fullmatch(key)
    assert key.startswith(prefix)
    assert key not in RESERVED
    assert key != prefix + RunRecord.key, "the run's own record has this key"


@given(st.lists(IDS, unique=True, min_size=2, max_size=8), PREFIXES)
@example(["", ":", ":3A", "%3A", "::"], "")
@example(["return_value", ":72eturn_value"], "")
@example(["é", ":C3:A9", "\udcc3"], "")
@example(["x" * 512, "x" * 513, "x" * 514], "")
@example(["/" * 200, "/" * 201], "p")
def test_different_ids_have_different_keys(ids: list[str], prefix: str) -> None:
    assert len({xcom_key(unique_id, prefix) for unique_id in ids}) == len(ids)


@pytest.mark.parametrize(
    "unique_id",
    [
        "model.shop.orders",
        "test.shop.not_null_orders_id.1a2b3c",
        "operation.shop.shop-on-run-start-0",
        "source.shop.Raw.X_1",
        "x" * 512,
    ],
)
def test_ordinary_ids_are_their_own_keys(unique_id: str) -> None:
    assert xcom_key(unique_id) == unique_id


def test_keys_that_other_programs_rely_on() -> None:
    assert xcom_key("model.shop.a b/ä") == "model.shop.a:20b:2F:C3:A4"
    assert xcom_key("model.shop.orders", "dbt:") == "dbt:model.shop.orders"
    key = xcom_key("model.shop." + "x" * 600)
    assert len(key) == 512
    assert re.fullmatch(r"model\.shop\.x+:h[0-9a-f]{64}", key)


@pytest.mark.parametrize("prefix", ["a b", "a/", "ä", "x" * 201, "a\n", "%"])
def test_a_prefix_that_cannot_be_pulled_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="A-Z a-z 0-9"):
        check_prefix(prefix)


@pytest.mark.parametrize("prefix", ["", "dbt.", "a:B-9_", "x" * 200])
def test_a_good_prefix(prefix: str) -> None:
    check_prefix(prefix)
