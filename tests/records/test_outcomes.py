"""What each of dbt's words for the end of a node comes to, and which of them are a success."""

from __future__ import annotations

import pytest
from support.records import node

from dbt_relay.records.outcomes import outcome_of
from dbt_relay.records.schema import NodeRecord


@pytest.mark.parametrize("status", ["cancelled", "canceled"])
def test_a_cancelled_node_is_interrupted(status: str) -> None:
    assert outcome_of(status) == "interrupted"


GREEN = ("success", "pass", "no-op", "reused", "warn")


@pytest.mark.parametrize("status", GREEN)
def test_the_status_words_that_are_successes(status: str) -> None:
    record = node("model.shop.a", status)
    assert record.has_succeeded
    for outcome in ("failure", "skipped", "interrupted", "green", "", None, 3, ["success"]):
        forged = NodeRecord(unique_id="model.shop.a", status=status, outcome=outcome)  # type: ignore[arg-type]
        assert not forged.has_succeeded


@pytest.mark.parametrize(
    "status", ["cancelled", "timed out", "Success", "ok", "", "error", "skipped", None, 1, ["pass"]]
)
def test_no_other_word_is_a_success(status: str) -> None:
    for outcome in ("success", "warning", "skipped", "green"):
        record = NodeRecord(unique_id="model.shop.a", status=status, outcome=outcome)  # type: ignore[arg-type]
        assert not record.has_succeeded
        assert record.is_doubtful or (status, outcome) == ("skipped", "skipped")
