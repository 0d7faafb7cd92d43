"""A number and its noun agree."""

from __future__ import annotations

import pytest

from dbt_relay.records.plural import counted


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 records"), (1, "1 record"), (2, "2 records"), (1200, "1,200 records")],
)
def test_the_noun_follows_its_number(number: int, text: str) -> None:
    assert counted(number, "record") == text
