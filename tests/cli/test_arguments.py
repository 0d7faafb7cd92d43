"""A dbt command line taken apart, and put together again as another."""

from __future__ import annotations

import shlex

import pytest

from dbt_relay.cli.arguments import DbtArguments, Option, position_of_dbt


def parts(command: str) -> DbtArguments:
    found = DbtArguments.of(shlex.split(command))
    assert found is not None
    return found


def names(options: tuple[Option, ...]) -> list[str]:
    return [option.name for option in options]


@pytest.mark.parametrize(
    ("command", "at"),
    [
        ("dbt build", 0),
        ("/opt/dbt/bin/dbt build", 0),
        ("uv run dbt build", 2),
        ("python -m dbt.cli.main build", 2),
        ("./nightly.sh", None),
        ("sh -c 'dbt seed && dbt run'", None),
    ],
)
def test_where_dbt_is(command: str, at: int | None) -> None:
    assert position_of_dbt(shlex.split(command)) == at


@pytest.mark.parametrize(
    "command",
    [
        "dbt build",
        "uv run dbt --quiet --log-path l build -s a b+ --exclude c --vars '{x: 1}' --full-refresh",
        "dbt --log-level=debug --profiles-dir . run --select=tag:x --threads 4 -m y",
        "dbt run --models a --target prod",
        "dbt source freshness --select source:x",
        "dbt test --resource-type unit_test test",
    ],
)
def test_nothing_is_lost(command: str) -> None:
    found = parts(command)
    again = found.words(found.subcommand, found.options)
    assert [*again] == shlex.split(command.replace("source freshness", "'source freshness'"))


def test_values() -> None:
    found = parts("dbt --profiles-dir . build -s a b --vars {} -f --exclude c d --state=s -x")
    assert names(found.before) == ["--profiles-dir"]
    assert found.subcommand == "build"
    assert [option.words for option in found.options] == [
        ("-s", "a", "b"),
        ("--vars", "{}"),
        ("-f",),
        ("--exclude", "c", "d"),
        ("--state=s",),
        ("-x",),
    ]
    assert found.others == ()


def test_a_value_may_begin_with_a_dash_where_there_is_only_one() -> None:
    found = parts("dbt run --vars -1 --threads 2")
    assert [option.words for option in found.options] == [("--vars", "-1"), ("--threads", "2")]


def test_what_is_no_option() -> None:
    found = parts("dbt run-operation grant --args '{a: 1}'")
    assert (found.subcommand, found.others) == ("run-operation", ("grant",))


def test_without() -> None:
    found = parts("dbt --quiet --log-format json build --select a --quiet")
    assert found.words("ls", found.options, without={"--quiet", "--log-format"}) == (
        "dbt",
        "ls",
        "--select",
        "a",
    )
