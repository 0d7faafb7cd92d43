"""The profile of a dbt command, and the namespace of the warehouse that it names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dbt_relay.cli.dbt.profile import UnknownProfileError, profile_of, project_of
from dbt_relay.cli.dbt.warehouse import dataset_namespace

PROFILES = """
shop:
  target: "{{ env_var('SHOP_TARGET', 'dev') }}"
  outputs:
    dev:
      type: postgres
      host: "{{ env_var('PGHOST') }}"
      port: "{{ env_var('PGPORT', '5432') | as_number }}"
    prod: {type: postgres, host: db.example, port: 6543}
    odd: {type: postgres, host: "{{ target_host() }}", port: 5432}
    hidden: {type: postgres, host: "{{ env_var('DBT_ENV_SECRET_HOST') }}", port: 5432}
other:
  outputs:
    default: {type: bigquery}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    (tmp_path / "profiles.yml").write_text(PROFILES)
    return tmp_path


def namespace(project: Path, *words: str, cwd: Path | None = None, **environ: str) -> str:
    profile = profile_of(("dbt", *words), environ, project, cwd or project)
    return dataset_namespace(profile)


def test_variables_are_filled_in(project: Path) -> None:
    assert namespace(project, "build", PGHOST="db") == "postgres://db:5432"
    assert namespace(project, "build", PGHOST="db", PGPORT="1") == "postgres://db:1"


@pytest.mark.parametrize(
    ("words", "environ"),
    [
        (("build", "--target", "prod"), {}),
        (("build", "--target=prod"), {}),
        (("build", "-t", "prod"), {}),
        (("build", "-tprod"), {}),
        (("build",), {"DBT_TARGET": "prod"}),
        (("build",), {"SHOP_TARGET": "prod"}),
    ],
)
def test_the_target_is_the_commands(
    project: Path, words: tuple[str, ...], environ: dict[str, str]
) -> None:
    assert namespace(project, *words, **environ) == "postgres://db.example:6543"


def test_the_profile_is_the_commands(project: Path) -> None:
    assert namespace(project, "build", "--profile", "other") == "bigquery"
    assert namespace(project, "build", DBT_PROFILE="other") == "bigquery"


def test_the_file_is_where_dbt_looks(project: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "profiles.yml").write_text(PROFILES.replace("db.example", "other.example"))
    named = ("build", "--target", "prod", "--profiles-dir", "elsewhere")
    assert namespace(project, *named) == "postgres://other.example:6543"
    prod = ("build", "--target", "prod")
    assert namespace(project, *prod, cwd=elsewhere) == "postgres://other.example:6543"
    found = namespace(project, *prod, DBT_PROFILES_DIR=str(elsewhere))
    assert found == "postgres://other.example:6543"


@pytest.mark.parametrize(
    ("words", "environ", "reason"),
    [
        (("build",), {}, "does not say its host without dbt"),
        (("build", "--target", "odd"), {}, "does not say its host without dbt"),
        (
            ("build", "--target", "hidden"),
            {"DBT_ENV_SECRET_HOST": "db"},
            "does not say its host without dbt",
        ),
        (("build", "--target", "none"), {}, "has no output none for the profile shop"),
        (("build", "--profile", "none"), {}, "has no profile none"),
        (("build", "--profiles-dir", "none"), {}, "cannot be read"),
    ],
)
def test_what_only_dbt_knows_is_not_guessed(
    project: Path, words: tuple[str, ...], environ: dict[str, str], reason: str
) -> None:
    with pytest.raises(UnknownProfileError, match=reason):
        namespace(project, *words, **environ)


@pytest.mark.parametrize("content", ["", "a: [", "- a", "\x00"])
def test_a_file_that_is_no_profile(project: Path, content: str) -> None:
    (project / "profiles.yml").write_text(content)
    with pytest.raises(UnknownProfileError):
        namespace(project, "build")


def test_a_project_that_cannot_be_read(tmp_path: Path) -> None:
    assert project_of(tmp_path) == {}
    with pytest.raises(UnknownProfileError, match="names no profile"):
        profile_of(("dbt", "build"), {}, tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ({"type": "redshift", "host": "h"}, "redshift://h:5439"),
        ({"type": "redshift", "host": "h", "port": 1}, "redshift://h:1"),
        ({"type": "trino", "host": "h", "port": 8080}, "trino://h:8080"),
        ({"type": "clickhouse", "host": "h", "port": 9000}, "clickhouse://h:9000"),
        ({"type": "sqlserver", "server": "h"}, "mssql://h:1433"),
        ({"type": "dremio", "software_host": "h", "port": 9047}, "dremio://h:9047"),
        ({"type": "snowflake", "account": "org-acc"}, "snowflake://org-acc"),
        ({"type": "snowflake", "account": "org-acc.x"}, "snowflake://org-acc"),
        ({"type": "snowflake", "account": "xy1"}, "snowflake://xy1.us-west-1.aws"),
        ({"type": "snowflake", "account": "xy1.us-east-1"}, "snowflake://xy1.us-east-1.aws"),
        ({"type": "snowflake", "account": "xy1.a.azure"}, "snowflake://xy1.a.azure"),
        ({"type": "bigquery"}, "bigquery"),
        ({"type": "databricks", "host": "h"}, "databricks://h"),
        ({"type": "duckdb", "path": "a/b.duckdb"}, "duckdb://a/b.duckdb"),
        ({"type": "duckdb"}, "duckdb://:memory:"),
        ({"type": "duckdb", "path": "md:db?motherduck_token=t"}, "duckdb://md:db"),
        ({"type": "athena", "region_name": "r"}, "awsathena://athena.r.amazonaws.com"),
        ({"type": "glue", "region": "r", "account_id": "1"}, "arn:aws:glue:r:1"),
        (
            {"type": "glue", "region": "r", "role_arn": "arn:aws:iam::12:role/x"},
            "arn:aws:glue:r:12",
        ),
        ({"type": "fabric", "server": "h"}, "fabric-warehouse://h"),
        ({"type": "fabric", "server": "h", "port": 1}, "fabric-warehouse://h:1"),
        ({"type": "spark", "method": "thrift", "host": "h"}, "spark://h:10001"),
        ({"type": "spark", "method": "odbc", "host": "h"}, "spark://h:443"),
    ],
)
def test_each_warehouse_has_the_name_of_openlineages_own_integration(
    profile: dict[str, Any], expected: str
) -> None:
    assert dataset_namespace(profile) == expected


@pytest.mark.parametrize(
    "profile",
    [
        {"type": "postgres", "host": "h"},
        {"type": "postgres", "host": "", "port": 1},
        {"type": "glue", "region": "r", "role_arn": "x"},
        {"type": "spark", "method": "session", "host": "h"},
        {"type": "teradata"},
        {},
    ],
)
def test_a_warehouse_without_a_name(profile: dict[str, Any]) -> None:
    with pytest.raises(UnknownProfileError):
        dataset_namespace(profile)
