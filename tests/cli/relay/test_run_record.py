"""The record of a run at its end."""

from __future__ import annotations

import pytest
from support.journals import info
from support.logs import fold, line

from dbt_relay.cli.relay.run_record import at_the_end, at_the_start
from dbt_relay.records.exits import Exit

BEGIN = line("MainReportVersion", {"version": "=2.0.0"})


def error(code: str, text: str) -> bytes:
    """An error of dbt v2 that names no node."""
    return line("Generic", {}, level="error", msg=f"[error] [Word ({code})]: {text}")


@pytest.mark.parametrize(
    ("errors", "message"),
    [
        ([], None),
        (["no key a"], "no key a"),
        (["no key a", "no key b"], "no key a\n… and 1 more error"),
        (["no key a", "no key b", "no key c"], "no key a\n… and 2 more errors"),
    ],
)
def test_dbt_v2_gives_several_reasons(errors: list[str], message: str | None) -> None:
    run = fold(BEGIN + b"".join(error("dbt1060", text) for text in errors)).run
    ended = at_the_end(
        at_the_start(info()), run, Exit(code=1), [], outcomes={}, finished_at="2026-01-02T03:04:05Z"
    )
    assert ended.message == message


def test_that_dbt_was_cancelled_is_no_reason_beside_another() -> None:
    stream = BEGIN + error("dbt1060", "no key a") + error("dbt8995", "Operation cancelled")
    last = fold(stream).run.last
    assert last is not None
    assert (last.error, last.more_errors) == ("no key a", 0)
