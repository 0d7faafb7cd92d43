"""What a DAG reads from an XCom, in the forms in which Airflow returns it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dbt_relay import read_record
from dbt_relay.records.schema import NodeRecord, RunRecord

NODE = NodeRecord(unique_id="model.shop.a", status="success", outcome="success", message='{"a": 1}')


@pytest.mark.parametrize("record", [NODE.to_json(), RunRecord(state="finished").to_json()])
@pytest.mark.parametrize("encodings", [0, 1, 2])
def test_a_record_is_a_dict_however_often_airflow_encoded_it(
    record: dict[str, Any], encodings: int
) -> None:
    pulled: Any = record
    for _ in range(encodings):
        pulled = json.dumps(pulled)
    assert read_record(pulled) == record


def test_no_xcom_is_none() -> None:
    assert read_record(None) is None


@pytest.mark.parametrize("other", ["Done.", "{}", "null", {"nodes": {}}, [NODE.to_json()], 7, True])
def test_another_value_is_not_taken_for_an_absent_record(other: Any) -> None:
    with pytest.raises(ValueError, match="holds no record"):
        read_record(other)
