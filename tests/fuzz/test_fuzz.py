"""The short form of `make fuzz`."""

from __future__ import annotations

import pytest

from fuzz.case import try_case


@pytest.mark.parametrize("first", range(0, 400, 50))
def test_no_mutated_log_raises(first: int) -> None:
    for seed in range(first, first + 50):
        try_case(seed)
