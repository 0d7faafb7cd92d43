"""Command lines that are not understood, and what is said to type instead."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from dbt_relay.cli.commands import OUTLINES
from dbt_relay.cli.hints import dbt_usage_hint, start_hint, usage_hint
from dbt_relay.cli.run import run


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("dbt build", "run -- dbt build"),
        ("-- dbt build", "run -- dbt build"),
        ("/opt/dbt/bin/dbt --quiet build", "run -- /opt/dbt/bin/dbt --quiet build"),
        ("uv run dbt build", "run -- uv run dbt build"),
        ("build", "run -- dbt build"),
        ("build --select 'tag:a b'", "run -- dbt build --select 'tag:a b'"),
        ("--target prod build", "run -- dbt --target prod build"),
        ("run --select x -- dbt build", "run -- dbt build --select x"),
        ("run --select x y -- dbt build", "run -- dbt build --select x y"),
        ("run -s x dbt build", "run -- dbt build -s x"),
        ("run --select x", "run -- dbt run --select x"),
        ("run --select=x -q build", "run -- dbt build --select=x -q"),
        ("run --full-refresh uv run dbt build", "run -- uv run dbt build --full-refresh"),
        (
            "run --sink jsonl:a -t prod --resume -- dbt build -x",
            "run --sink jsonl:a --resume -- dbt build -x -t prod",
        ),
        (
            "--sink jsonl:a run --select x -- dbt build",
            "run --sink jsonl:a -- dbt build --select x",
        ),
        ("--select x dbt run", "run -- dbt run --select x"),
        ("run --resume", "run --resume -- dbt build"),
        ("run", "run -- dbt build"),
    ],
)
def test_what_was_meant(typed: str, meant: str) -> None:
    said = usage_hint(shlex.split(typed), OUTLINES, run)
    assert said is not None
    assert said.endswith(f": dbt-relay {meant}")


def test_an_option_that_is_not_known_to_be_of_dbt() -> None:
    said = usage_hint(["run", "--nope", "dbt", "build"], OUTLINES, run)
    assert said == (
        "if that is an option of dbt, put it after dbt: dbt-relay run -- dbt build --nope"
    )


@pytest.mark.parametrize(
    "typed", ["", "nope", "wait --select", "replay a b", "run --grace x -- dbt build", "--nope"]
)
def test_where_nothing_is_clear(typed: str) -> None:
    assert usage_hint(shlex.split(typed), OUTLINES, run) is None


def test_a_saved_log(tmp_path: Path) -> None:
    (tmp_path / "dbt.log").touch()
    said = usage_hint([str(tmp_path / "dbt.log")], OUTLINES, run)
    assert said == f"to read a saved log: dbt-relay replay {tmp_path}/dbt.log"


@pytest.mark.parametrize(
    ("command", "meant"),
    [
        ("dbt build --sink jsonl:a", "run --sink jsonl:a -- dbt build"),
        ("uv run dbt build --resume -s x", "run --resume -- uv run dbt build -s x"),
        ("dbt --dag-id=a build --note", "run --dag-id=a --note -- dbt build"),
    ],
)
def test_options_of_the_relay_behind_dbt(command: str, meant: str) -> None:
    said = dbt_usage_hint(shlex.split(command), run)
    assert said == f"put dbt-relay's options before `--`: dbt-relay {meant}"


def test_options_of_dbt_behind_dbt() -> None:
    assert dbt_usage_hint(["dbt", "build", "--nope"], run) is None
    assert dbt_usage_hint(["./x.sh", "--sink", "a"], run) is None


def test_a_command_of_dbt_without_dbt() -> None:
    assert start_hint(["build", "-x"]).endswith(": dbt-relay run -- dbt build -x")
    assert start_hint(["nightly"]) == ""
