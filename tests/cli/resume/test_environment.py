"""What dbt runs in, and which changes of it count."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from dbt_relay.cli.dbt.command import prepare
from dbt_relay.cli.resume.environment import PARTS, differences, environment_digests

ENVIRON = {"PATH": "/usr/bin:/bin", "HOME": "/nowhere", "DBT_TARGET": "dev"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    (root / "models").mkdir(parents=True)
    (root / "dbt_project.yml").write_text("name: shop\nvars: {x: 1}\n")
    (root / "profiles.yml").write_text("shop: {target: \"{{ env_var('SHOP_TARGET', 'dev') }}\"}\n")
    (root / "models" / "a.sql").write_text("select '{{ env_var(\"SHOP_DAY\") }}'")
    return root


def told(
    root: Path, command: tuple[str, ...] = ("dbt", "build"), cwd: Path | None = None, **env: str
) -> Any:
    environ = {**ENVIRON, **env}
    place = cwd or root
    prepared = prepare(command, environ, is_terminal=False, cwd=place)
    return environment_digests(command, prepared, environ, place)


def changes(root: Path, **env: str) -> list[str]:
    return differences(told(root), told(root, **env))


@pytest.mark.parametrize(
    "variable",
    [
        {"DBT_TARGET": "prod"},
        {"DBT_ENGINE_TARGET": "prod"},
        {"DBT_PROFILE": "other"},
        {"DBT_VARS": "{x: 2}"},
        {"DBT_ENV_SECRET_PASSWORD": "hush"},
        {"DBT_FULL_REFRESH": "1"},
        {"DBT_STATE": "/prod"},
        {"DBT_ANYTHING_AT_ALL": "1"},
        {"SHOP_TARGET": "prod"},
        {"SHOP_DAY": "2026-01-02"},
        {"AWS_PROFILE": "prod"},
        {"AIRFLOW_HOME": "/staging"},
    ],
    ids=lambda v: next(iter(v)),
)
def test_a_variable_that_counts(project: Path, variable: dict[str, str]) -> None:
    assert changes(project, **variable) == [PARTS["variables"]]
    (name,) = variable
    assert changes(project, **{name: ""}) or name == "DBT_TARGET"


@pytest.mark.parametrize(
    "name",
    [
        "DBT_RELAY_TRY_NUMBER", "DBT_RELAY_AIRFLOW_TOKEN", "DBT_LOG_FORMAT", "DBT_LOG_PATH",
        "DBT_ENGINE_LOG_LEVEL", "DBT_USE_COLORS", "DBT_QUIET", "DBT_DEBUG", "DBT_INVOCATION_ENV",
        "DBT_SEND_ANONYMOUS_USAGE_STATS", "DBT_PARTIAL_PARSE", "DBT_ENV_CUSTOM_ENV_TRY",
        "AIRFLOW_CTX_TRY_NUMBER", "AIRFLOW_CTX_DAG_ID", "PWD", "HOSTNAME", "TMPDIR",
        "DBT_TARGET_PATH",
    ],
)  # fmt: skip
def test_one_that_does_not(project: Path, name: str) -> None:
    assert changes(project, **{name: "1"}) == []


def test_the_try_itself_never_does(project: Path) -> None:
    (project / "models" / "b.sql").write_text("{{ env_var('AIRFLOW_CTX_TRY_NUMBER') }}")
    assert changes(project, AIRFLOW_CTX_TRY_NUMBER="2") == []


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("models/schema.yml", "x: \"{{ env_var('LATE', '') }}\""),
        ("macros/m.sql", "{% macro m() %}{{ env_var( 'LATE' ) }}{% endmacro %}"),
        ("dbt_packages/p/models/b.sql", '{{env_var("LATE")}}'),
        ("models/doubled.yml", "x: '{{ env_var(''LATE'', '''') }}'"),
        ("models/escaped.yml", 'x: "{{ env_var(\\"LATE\\") }}"'),
        ("models/named.sql", "{{ env_var(var='LATE') }}"),
        ("models/m.py", "def model(dbt, s): return command.config.get(env_var('LATE'))"),
    ],
)
def test_one_that_a_file_of_the_project_names(project: Path, place: str, text: str) -> None:
    assert changes(project, LATE="1") == []
    (project / place).parent.mkdir(parents=True, exist_ok=True)
    (project / place).write_text(text)
    assert changes(project, LATE="1") == [PARTS["variables"]]


def test_a_package_that_is_a_link(project: Path, tmp_path: Path) -> None:
    """As `dbt deps` makes one to a local package; one that leads back up does no harm."""
    local = tmp_path / "local"
    (local / "macros").mkdir(parents=True)
    (local / "macros" / "m.sql").write_text("{{ env_var('LATE') }}")
    (local / "up").symlink_to(tmp_path)
    (project / "dbt_packages").mkdir()
    (project / "dbt_packages" / "local").symlink_to(local)
    assert changes(project, LATE="1") == [PARTS["variables"]]


@pytest.mark.parametrize("folder", ["target/compiled", "logs", ".git", "venv/lib", "node_modules"])
def test_what_is_no_code_of_the_project_is_not_read(project: Path, folder: str) -> None:
    (project / folder).mkdir(parents=True)
    (project / folder / "x.sql").write_text("{{ env_var('LATE') }}")
    if folder == "venv/lib":
        (project / "venv" / "pyvenv.cfg").touch()
    assert changes(project, LATE="1") == []


@pytest.mark.parametrize(
    "name", ["profiles.yml", "dbt_project.yml", "packages.yml", "package-lock.yml", ".env"]
)
def test_a_file_that_counts(project: Path, name: str) -> None:
    before = told(project)
    with (project / name).open("a") as file:
        file.write("# another\n")
    (words,) = differences(before, told(project))
    assert "profiles.yml" in words


def test_the_profiles_that_are_in_effect(project: Path, tmp_path: Path) -> None:
    """The folder's name does not count: who writes profiles.yml anew for each try has another."""
    places = [tmp_path / "one", tmp_path / "two", tmp_path / "three"]
    for place, text in zip(places, ("a", "a", "b"), strict=True):
        place.mkdir()
        (place / "profiles.yml").write_text(text)
    one, two, three = (told(project, DBT_PROFILES_DIR=str(p)) for p in places)
    assert one == two
    assert len(differences(one, three)) == 1
    by_option = told(project, ("dbt", "build", "--profiles-dir", str(places[2])))
    assert by_option["files"] == three["files"]


def test_the_home_has_profiles_too(project: Path, tmp_path: Path) -> None:
    (project / "profiles.yml").unlink()
    before = told(project, HOME=str(tmp_path))
    (tmp_path / ".dbt").mkdir()
    (tmp_path / ".dbt" / "profiles.yml").write_text("x")
    assert len(differences(before, told(project, HOME=str(tmp_path)))) == 1


def test_another_project_with_the_same_files(project: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    for name in ("dbt_project.yml", "profiles.yml"):
        (tmp_path / "copy" / name).write_bytes((project / name).read_bytes())
    (tmp_path / "copy" / "b.sql").write_text("{{ env_var('SHOP_DAY') }}")
    assert differences(told(project), told(tmp_path / "copy")) == ["the project's folder"]


def test_the_folder_that_it_is_started_in_does_not_count(project: Path, tmp_path: Path) -> None:
    """A BashOperator without `cwd` has a new one each time."""
    command = ("dbt", "build", "--project-dir", str(project), "--profiles-dir", str(project))
    for name in "ab":
        (tmp_path / name).mkdir()
    assert told(project, command, tmp_path / "a") == told(project, command, tmp_path / "b")


def test_another_dbt(project: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "bin").mkdir(parents=True)
        program = tmp_path / name / "bin" / "dbt"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    one, two = (told(project, PATH=f"{tmp_path}/{n}/bin:/bin") for n in ("one", "two"))
    assert differences(one, two) == ["dbt itself"]
    packages = tmp_path / "one" / "lib" / "python3.12" / "site-packages"
    (packages / "dbt_core-1.12.0.dist-info").mkdir(parents=True)
    newer = told(project, PATH=f"{tmp_path}/one/bin:/bin")
    assert differences(one, newer) == ["dbt itself"]
    (packages / "requests-2.0.dist-info").mkdir()
    assert told(project, PATH=f"{tmp_path}/one/bin:/bin") == newer


def test_no_value_can_be_read_in_it(project: Path) -> None:
    known = told(project, DBT_ENV_SECRET_X="hush", DBT_TARGET="production")
    said = json.dumps(known)
    assert "hush" not in said
    assert "production" not in said
    assert {len(digest) for digest in known.values()} == {64}


def test_any_bytes_will_do(project: Path) -> None:
    assert told(project, DBT_X=os.fsdecode(b"\xff\xfe"))
    (project / "models" / "b.sql").write_bytes(b"\xff{{ env_var('\xfe') }}")
    assert told(project)


def test_without_a_project(tmp_path: Path) -> None:
    assert told(tmp_path) == told(tmp_path)


def test_a_secret_in_the_command(project: Path) -> None:
    """What is kept of a command has secrets masked, so that two of them look alike."""
    one, other = (told(project, ("dbt", "build", "--vars", f"pw: {pw}")) for pw in ("a", "b"))
    assert differences(one, other) == [PARTS["command"]]
