"""A number agrees with its words."""

from __future__ import annotations

import pytest

from dbt_relay.records.plural import counted


@pytest.mark.parametrize(
    ("number", "words", "said"),
    [
        (0, ["record"], "0 records"),
        (1, ["record"], "1 record"),
        (2, ["record"], "2 records"),
        (12_000, ["record"], "12,000 records"),
        (1, ["record is", "records are"], "1 record is"),
        (2, ["record is", "records are"], "2 records are"),
        (0, ["try", "tries"], "0 tries"),
    ],
)
def test_a_number_with_its_words(number: int, words: list[str], said: str) -> None:
    assert counted(number, *words) == said
