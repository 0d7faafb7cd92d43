"""What dbt v2 prints by itself."""

from __future__ import annotations

import io

import pytest

from dbt_relay.cli.output.console import Console
from dbt_relay.cli.output.dbt_output import DbtOutput, level_of
from dbt_relay.parser import Secrets

PRINTED = b"""\
dbt-fusion 2.0.0
 Succeeded [  0.02s] model main.orders (view)
\x1b[1m\x1b[31m    Failed\x1b[0m [  1.06s] model main.broken (table)
    Warned [  0.01s] test  few_orders
\x1b[33m[warning]\x1b[0m [A (dbt1)]: old
=== Execution Summary ===
the last line, hunter2"""
LEVELS = ["info", "info", "error", "warn", "warn", "info", "info"]
MARKS = {"info": b"<6>", "warn": b"<4>", "error": b"<3>"}


def printed(size: int, *, marks_levels: bool) -> bytes:
    out = io.BytesIO()
    console = Console(out, marks_levels=marks_levels, level="error", quiet=True)
    output = DbtOutput(console, Secrets(["hunter2"]))
    for start in range(0, len(PRINTED), size):
        output.write(PRINTED[start : start + size])
    output.end()
    return out.getvalue()


@pytest.mark.parametrize("size", [1, 3, 7, 64, 10_000])
def test_it_passes_unchanged_but_for_secrets(size: int) -> None:
    """Whatever level the relay prints its own lines at: dbt has obeyed its options."""
    assert printed(size, marks_levels=False) == PRINTED.replace(b"hunter2", b"*****")


@pytest.mark.parametrize("size", [1, 3, 7, 64, 10_000])
def test_for_an_operator_each_line_has_its_level(size: int) -> None:
    expected = [
        MARKS[level] + line
        for level, line in zip(
            LEVELS, PRINTED.replace(b"hunter2", b"*****").split(b"\n"), strict=True
        )
    ]
    assert printed(size, marks_levels=True) == b"\n".join(expected) + b"\n"


@pytest.mark.parametrize(
    ("line", "level"),
    [
        (b"     Stale [  0.1s] source a.b", "error"),
        (b"[error] [A (dbt1308)]: x", "error"),
        (b"  Failed", "error"),
        (b"[error]: x", "error"),
        (b"Failedness", "info"),
        (b"model failed", "info"),
        (b"", "info"),
        (b"\xff\xfe", "info"),
    ],
)
def test_the_level_is_in_the_first_word(line: bytes, level: str) -> None:
    assert level_of(line) == level
