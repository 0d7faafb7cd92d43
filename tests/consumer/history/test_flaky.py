"""Nodes that fail and succeed in turn on the same code."""

from __future__ import annotations

import pytest

from dbt_relay.consumer.history.flaky import flaky, may_be_flaky
from dbt_relay.records.brief import Result


def results(outcomes: str, codes: str = "") -> list[Result]:
    """A letter a run: p passes, w warns, f fails, s is skipped. `codes` has digits."""
    words = {"p": "success", "w": "warning", "f": "failure", "s": "skipped"}
    padded = codes.ljust(len(outcomes))
    return [
        Result(run, words[letter], code=int(code) if code != " " else None)  # type: ignore[arg-type]
        for run, (letter, code) in enumerate(zip(outcomes, padded, strict=True))
    ]


@pytest.mark.parametrize(
    ("outcomes", "codes", "told"),
    [
        ("pfp", "111", (1, 2, 2)),
        ("pfpfwp", "111111", (2, 4, 4)),
        ("psfsp", "11111", (1, 2, 2)),
        ("ppff", "1111", None),  # bad data since then
        ("ffpp", "1111", None),  # mended
        ("pfp", "122", None),  # somebody broke it
        ("pfp", "121", None),  # and took that back
        ("pfppfp", "111222", (2, 4, 4)),
        ("pfpppp", "111222", (1, 2, 2)),
    ],
)
def test_what_is_flaky(outcomes: str, codes: str, told: tuple[int, ...] | None) -> None:
    one = flaky("m", results(outcomes, codes))
    assert (one and (one.failed, one.succeeded, one.changes)) == told
    assert one is None or one.is_code_known


def test_without_checksums_the_code_is_not_known() -> None:
    one = flaky("test.shop.t.1", results("pfp"))
    assert one is not None
    assert not one.is_code_known


def test_a_generic_test_has_the_code_of_the_node_that_it_tests() -> None:
    seen = results("pfpfp")
    same = flaky("t", seen, ("m",), {"m": [(0, 7)]})
    assert same is not None
    assert same.is_code_known
    assert (same.failed, same.last_failed) == (2, 3)
    # Somebody broke the model in run 1 and mended it in run 2, and again.
    assert flaky("t", seen, ("m",), {"m": [(0, 7), (1, 8), (2, 7), (3, 9), (4, 7)]}) is None


def test_a_test_of_its_own_file_has_that_code_too() -> None:
    codes = {"m": [(0, 7)]}
    assert flaky("t", results("pfp", "111"), ("m",), codes) is not None
    assert flaky("t", results("pfp", "121"), ("m",), codes) is None


def test_a_test_that_ran_alone_has_the_code_that_was_built_before() -> None:
    one = flaky("t", results("pfpfp"), ("m",), {"m": [(2, 7)]})
    assert one is not None
    assert (one.failed, one.is_code_known) == (1, True)


def test_a_node_that_never_changed_needs_no_look_at_its_code() -> None:
    assert not may_be_flaky(results("ppff"))
    assert not may_be_flaky(results("fsssf"))
    assert may_be_flaky(results("fspsf"))
