"""Each promise names its tests, and those are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/reference/guarantees.md").read_text()
PROMISED, NOT_PROMISED = TEXT.split("## What is not promised")
PROMISES = re.findall(r"^(\d+)\. (.+?)(?=^\d+\. |^## |\Z)", PROMISED, re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"`((?:tests|benchmarks)/[\w/.]+)`")


def test_they_are_numbered() -> None:
    assert [int(number) for number, _ in PROMISES] == list(range(1, len(PROMISES) + 1))
    assert len(PROMISES) > 10
    assert NOT_PROMISED.count("\n- **") > 3


@pytest.mark.parametrize(("number", "promise"), PROMISES, ids=[n for n, _ in PROMISES])
def test_a_promise_names_tests_that_exist(number: str, promise: str) -> None:
    named = NAMED.findall(promise)
    assert any(path.startswith("tests/") for path in named), promise
    for path in named:
        assert (ROOT / path).exists(), path
