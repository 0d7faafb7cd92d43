"""The record of a test with the nodes that it tests."""

from __future__ import annotations

from dataclasses import replace

from dbt_relay.records import NodeRecord, read_record
from dbt_relay.records.schema import DbtTestRecord

TEST = NodeRecord(
    unique_id="test.shop.t", status="pass", outcome="success", attempt=2, started_at="2026-01-02Z"
)
FORM = {
    "schema": "dbt-relay/node@1",
    "unique_id": "test.shop.t",
    "status": "pass",
    "outcome": "success",
    "started_at": "2026-01-02Z",
    "attempt": 2,
    "sequence": 1,
    "tests": {"model.shop.a": 3},
}
"""The form in journals since the sink for Cosmos exists."""


def test_it_has_one_json_form() -> None:
    record = DbtTestRecord.of(TEST, {"model.shop.a": 3})
    assert record.to_json() == FORM
    assert read_record(FORM) == record
    assert replace(record, sequence=2).tests == record.tests


def test_a_record_without_tested_nodes_is_a_plain_node_record() -> None:
    for tests in (None, [], "model.shop.a", {"model.shop.a": "3"}):
        assert read_record({**FORM, "tests": tests}) == TEST
    assert read_record({**FORM, "unique_id": None}) is None
