"""A dbt command line taken apart, and put together again as another."""

from __future__ import annotations

import shlex

import pytest

from dbt_relay.cli.dbt.arguments import (
    DbtArguments,
    Option,
    asks_about_dbt,
    position_of_dbt,
    unbundled,
)


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
        ("uv run --project /opt/dbt dbt build", 4),
        ("sudo -u dbt dbt build", 3),
        ("sudo -u dbt -E dbt -q build", 4),
        ("poetry -C dbt run dbt build", 4),
        ("conda run -n dbt dbt run", 4),
        ("conda run -n dbt --no-capture-output dbt run", 5),
        ("docker run --name dbt -d img dbt build", 6),
        ("docker run --rm -v x:/usr/app/dbt -w /usr/app/dbt img dbt --no-use-colors build", 8),
        ("docker run ghcr.io/dbt-labs/dbt build", 2),
        ("docker compose run dbt dbt build", 4),
        ("kubectl exec deploy/dbt -- dbt run", 4),
        ("sudo -u dbt ./nightly.sh --quiet", None),
        ("make -C /srv/dbt nightly", None),
        ("env A=b dbt", 2),
        ("uv run dbt -dq build", 2),
        ("uv run dbt --some-day build", 2),
        ("python3 -X dev -m dbt.cli.main --version", 4),
        ("dbt.exe build", 0),
        ("env C:\\\\dbt\\\\bin\\\\DBT.EXE build", 1),
        ("uvx dbtf build", 1),
        ("dbt run --select dbt build", 0),
        ("dbt build --select dbt run", 0),
        ("dbt --project-dir dbt run", 0),
        ("uv run dbt run --select dbt build", 2),
        ("uv run dbt build -s a dbt run --exclude dbt test", 2),
        ("uv run dbt --profiles-dir dbt run", 2),
        ("uv run --directory dbt dbt --profiles-dir dbt run", 4),
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
    assert [*again] == shlex.split(command)


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


@pytest.mark.parametrize(
    ("command", "apart"),
    [
        ("-dq build", "-d -q build"),
        ("build -qxf", "build -q -x -f"),
        ("build -sfoo -tprod", "build -s foo -t prod"),
        ("build -qsfoo bar", "build -q -s foo bar"),
        ("build -qs foo", "build -q -s foo"),
        ("--vars -dq build", "--vars -dq build"),
        ("-t -dq build", "-t -dq build"),
        ("build -squick", "build -s quick"),
        ("build -zq", "build -zq"),
        ("build --quiet -q -", "build --quiet -q -"),
    ],
)
def test_short_options_by_themselves(command: str, apart: str) -> None:
    assert [*unbundled(command.split())] == apart.split()


def test_short_options_of_a_command_that_is_taken_apart() -> None:
    found = parts("dbt -dq build -xsfoo bar -tprod")
    assert names(found.before) == ["-d", "-q"]
    assert [option.words for option in found.options] == [
        ("-x",),
        ("-s", "foo", "bar"),
        ("-t", "prod"),
    ]


@pytest.mark.parametrize(
    ("command", "is_so"),
    [
        ("dbt --version", True),
        ("dbt build --help", True),
        ("uv run dbt -dh", True),
        ("dbt", True),
        ("dbt help build", True),
        ("dbt build", False),
        ("dbt build --select help", False),
        ("./nightly.sh", False),
        ("echo --help", False),
    ],
)
def test_what_only_asks_about_dbt(command: str, is_so: bool) -> None:
    assert asks_about_dbt(command.split()) is is_so


@pytest.mark.parametrize(
    ("command", "narrowed"),
    [
        (
            "uv run dbt --debug build -s tag:daily --exclude a b --selector nightly --fail-fast",
            "uv run dbt --debug build --fail-fast --select orders stg --indirect-selection empty",
        ),
        (
            "dbt test --indirect-selection=buildable",
            "dbt test --select orders stg --indirect-selection empty",
        ),
        ("dbt run -m x --vars {}", "dbt run --vars {} --select orders stg"),
        ("dbt seed", "dbt seed --select orders stg"),
    ],
)
def test_a_selection_replaces_the_one_of_the_command(command: str, narrowed: str) -> None:
    parts = DbtArguments.of(shlex.split(command))
    assert parts is not None
    assert shlex.join(parts.selecting(["orders", "stg"])) == shlex.join(shlex.split(narrowed))


@pytest.mark.parametrize(
    ("command", "terms", "check"),
    [
        (
            "uv run dbt --warn-error build -f -s a b --exclude c --vars {} -t p",
            ["source:r.a", "tag:b"],
            "uv run dbt --warn-error source freshness --vars {} -t p --select source:r.a tag:b",
        ),
        (
            "dbt run --profiles-dir=x --threads 4 --state old --defer --empty --no-use-colors",
            [],
            "dbt source freshness --profiles-dir=x --threads 4 --no-use-colors",
        ),
    ],
)
def test_a_check_of_sources_is_in_the_same_place(
    command: str, terms: list[str], check: str
) -> None:
    assert [*parts(command).checking_sources(terms)] == shlex.split(check)
