"""How the user's command line is changed so that dbt logs what the relay reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbt_relay.cli.dbt import DbtCommand, prepare, secrets_of

INJECTED = ["--log-format", "json", "--log-level", "debug", "--no-quiet"]
ERROR = {"DBT_LOG_LEVEL": "error"}
FILE = ["--log-format-file", "debug", "--log-level-file", "debug"]


def prepared(
    *command: str, cwd: Path = Path("/nowhere"), is_terminal: bool = False, **env: str
) -> DbtCommand:
    return prepare(command, env, is_terminal=is_terminal, cwd=cwd)


@pytest.mark.parametrize(
    ("command", "argv"),
    [
        (["dbt", "build"], ["dbt", *INJECTED, *FILE, "build"]),
        (["/opt/bin/dbt", "run", "-s", "a"], ["/opt/bin/dbt", *INJECTED, *FILE, "run", "-s", "a"]),
        (["dbt", "build", "--log-format", "debug"], ["dbt", *INJECTED, *FILE, "build"]),
        (
            ["dbt", "--log-format=json", "build"],
            ["dbt", *INJECTED, "--log-format-file", "json", *FILE[2:], "build"],
        ),
        (
            ["dbt", "-q", "build", "--log-level", "warn"],
            ["dbt", *INJECTED, *FILE[:2], "--log-level-file", "warn", "build"],
        ),
        (["uv", "run", "dbt", "build", "--quiet"], ["uv", "run", "dbt", "build"]),
        (["python", "-m", "dbt.cli.main", "run"], ["python", "-m", "dbt.cli.main", "run"]),
        (["./nightly.sh", "--quiet"], ["./nightly.sh", "--quiet"]),
        (
            ["dbt", "build", "--log-format-file", "json"],
            ["dbt", *INJECTED, *FILE[2:], "build", "--log-format-file", "json"],
        ),
        (
            ["dbt", "run", "--no-use-colors", "--debug"],
            ["dbt", *INJECTED, *FILE, "run", "--no-use-colors", "--debug"],
        ),
        (["dbt", "-dq", "build"], ["dbt", *INJECTED, *FILE, "-d", "build"]),
        (["dbt", "build", "-qd"], ["dbt", *INJECTED, *FILE, "build", "-d"]),
        (["dbt", "build", "-xqf"], ["dbt", *INJECTED, *FILE, "build", "-x", "-f"]),
        (["dbt", "build", "-qsq"], ["dbt", *INJECTED, *FILE, "build", "-s", "q"]),
        (["dbt", "build", "--vars", "-q"], ["dbt", *INJECTED, *FILE, "build", "--vars", "-q"]),
        (["uv", "run", "-q", "dbt", "-xq", "build"], ["uv", "run", "-q", "dbt", "-x", "build"]),
        (
            ["docker", "run", "--quiet", "--name", "dbt", "img", "dbt", "build", "--quiet"],
            ["docker", "run", "--quiet", "--name", "dbt", "img", "dbt", "build"],
        ),
        (["sudo", "-u", "dbt", "./x.sh", "-q"], ["sudo", "-u", "dbt", "./x.sh", "-q"]),
    ],
)
def test_argv(command: list[str], argv: list[str]) -> None:
    assert list(prepared(*command).argv) == argv


@pytest.mark.parametrize(
    ("command", "removed"),
    [
        (["dbt", "build"], ()),
        (["dbt", "--log-format", "json", "--log-level=debug", "--no-quiet", "build"], ()),
        (["dbt", "--log-format", "text", "build"], ("--log-format text",)),
        (["dbt", "build", "--log-level=warn", "-q"], ("--log-level warn", "-q")),
        (["uv", "run", "dbt", "--quiet", "build"], ("--quiet",)),
        (["dbt", "-dqx", "build"], ("-q",)),
    ],
)
def test_what_is_taken_out_is_said(command: list[str], removed: tuple[str, ...]) -> None:
    assert prepared(*command).removed == removed


def test_the_environment_carries_the_flags_under_both_names() -> None:
    env = prepared("./nightly.sh", HOME="/h", DBT_LOG_LEVEL="warn", DBT_QUIET="1").env
    for prefix in ("DBT_", "DBT_ENGINE_"):
        assert env[prefix + "LOG_FORMAT"] == "json"
        assert env[prefix + "LOG_LEVEL"] == "debug"
        assert env[prefix + "QUIET"] == "0"
        assert env[prefix + "LOG_FORMAT_FILE"] == "debug"
        assert env[prefix + "LOG_LEVEL_FILE"] == "warn"
    assert env["HOME"] == "/h"


@pytest.mark.parametrize(
    ("command", "env", "expected"),
    [
        (["dbt", "build"], {}, ("info", False, "text")),
        (["dbt", "--quiet", "build"], {}, ("info", True, "text")),
        (["dbt", "build", "-q"], {}, ("info", True, "text")),
        (["dbt", "build", "--no-quiet"], {"DBT_QUIET": "1"}, ("info", False, "text")),
        (["dbt", "build"], {"DBT_QUIET": "true"}, ("info", True, "text")),
        (["dbt", "build"], {"DBT_LOG_LEVEL": "error"}, ("error", False, "text")),
        (["dbt", "run", "--log-level", "warn"], ERROR, ("warn", False, "text")),
        (["dbt", "run"], {"DBT_ENGINE_LOG_LEVEL": "warn", **ERROR}, ("warn", False, "text")),
        (["dbt", "-d", "build"], {}, ("debug", False, "text")),
        (["dbt", "-dq", "build"], {}, ("debug", True, "text")),
        (["dbt", "build", "-qx"], {}, ("info", True, "text")),
        (["dbt", "build", "-sq", "-td"], {}, ("info", False, "text")),
        (["dbt", "build"], {"DBT_DEBUG": "1", "DBT_LOG_LEVEL": "error"}, ("debug", False, "text")),
        (["dbt", "--log-format", "debug", "build"], {}, ("info", False, "debug")),
    ],
)  # fmt: skip
def test_what_the_relay_prints_follows_the_users_flags(
    command: list[str], env: dict[str, str], expected: tuple[str, bool, str]
) -> None:
    got = prepared(*command, **env)
    assert (got.level, got.quiet, got.style) == expected


@pytest.mark.parametrize(
    ("command", "env", "is_terminal", "colours"),
    [
        (["dbt", "run"], {}, True, True),
        (["dbt", "run"], {}, False, False),
        (["dbt", "run"], {"NO_COLOR": "1"}, True, False),
        (["dbt", "run"], {"FORCE_COLOR": "1"}, False, True),
        (["dbt", "run", "--no-use-colors"], {}, True, False),
        (["dbt", "run", "--use-colors"], {"NO_COLOR": "1"}, False, True),
        (["dbt", "run"], {"DBT_USE_COLORS": "1"}, False, True),
    ],
)
def test_colours(command: list[str], env: dict[str, str], is_terminal: bool, colours: bool) -> None:
    got = prepared(*command, is_terminal=is_terminal, **env)
    assert got.colours is colours
    assert got.env["DBT_USE_COLORS"] == str(int(colours))


@pytest.mark.parametrize(
    ("command", "colours", "in_file"),
    [
        (["dbt", "--use-colors", "build"], "1", "1"),
        (["dbt", "--no-use-colors", "build"], "0", "0"),
        (["dbt", "build"], "0", "1"),
    ],
)
def test_colours_of_the_log_file_follow_only_the_user(
    command: list[str], colours: str, in_file: str
) -> None:
    env = prepared(*command).env
    assert (env["DBT_USE_COLORS"], env["DBT_USE_COLORS_FILE"]) == (colours, in_file)
    assert "DBT_USE_COLORS_FILE" not in prepared("dbt", "--no-use-colors-file", "run").env


def test_settings_of_the_project_file(tmp_path: Path) -> None:
    text = (
        "name: x\ntarget-path: out\nvars:\n  debug: true\n  quiet: true\n"
        "flags:\n  # for people\n  log_level: warn\n\n  log_format_file: json\nmodels:\n  x: {}\n"
    )
    (tmp_path / "dbt_project.yml").write_text(text)
    got = prepared("dbt", "build", cwd=tmp_path)
    assert (got.level, got.quiet) == ("warn", False)
    assert got.target_dir == tmp_path / "out"
    assert "--log-format-file" not in got.argv
    assert "DBT_LOG_FORMAT_FILE" not in got.env
    assert got.env["DBT_LOG_LEVEL_FILE"] == "warn"


@pytest.mark.parametrize(
    ("command", "env", "target"),
    [
        (["dbt", "build"], {}, "target"),
        (["dbt", "build", "--target-path", "t"], {}, "t"),
        (["dbt", "--target-path=t", "build"], {"DBT_TARGET_PATH": "e"}, "t"),
        (["dbt", "build"], {"DBT_TARGET_PATH": "e"}, "e"),
        (["dbt", "build", "--project-dir", "p"], {}, "p/target"),
        (["./x.sh"], {"DBT_PROJECT_DIR": "p", "DBT_TARGET_PATH": "/abs"}, "/abs"),
    ],
)
def test_where_the_artifacts_will_lie(
    command: list[str], env: dict[str, str], target: str, tmp_path: Path
) -> None:
    assert prepared(*command, cwd=tmp_path, **env).target_dir == tmp_path / target


def test_the_secrets_that_dbt_scrubs() -> None:
    env = {"DBT_ENV_SECRET_A": "x", "DBT_ENV_SECRET": "y", "DBT_ENV_SECRET_B": " ", "OTHER": "z"}
    assert secrets_of(env) == ["x", "y"]
