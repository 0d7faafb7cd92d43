"""How the user's command line is changed so that dbt logs what the relay reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbt_relay.cli.dbt.command import DbtCommand, prepare
from dbt_relay.cli.dbt.variables import dbt_secrets

INJECTED = ["--log-format", "json", "--log-level", "debug", "--no-quiet"]
ERROR = {"DBT_LOG_LEVEL": "error"}
FILE = ["--log-format-file", "default", "--log-level-file", "debug"]


def prepared(
    *command: str, cwd: Path = Path("/nowhere"), is_terminal: bool = False, **env: str
) -> DbtCommand:
    return prepare(command, env, is_terminal=is_terminal, cwd=cwd)


@pytest.mark.parametrize(
    ("command", "argv"),
    [
        (["dbt", "build"], ["dbt", *INJECTED, *FILE, "build"]),
        (["/opt/bin/dbt", "run", "-s", "a"], ["/opt/bin/dbt", *INJECTED, *FILE, "run", "-s", "a"]),
        (
            ["dbt", "build", "--log-format", "debug"],
            ["dbt", *INJECTED, "--log-format-file", "debug", *FILE[2:], "build"],
        ),
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
        assert env[prefix + "LOG_FORMAT_FILE"] == "default"
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
        (["dbt", "--log-level", "off", "build"], {}, ("off", False, "text")),
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
    assert (got.env.get("DBT_USE_COLORS") == "0") is not colours
    # dbt 1.x has them unless told otherwise, and dbt v2 warns of whoever asks for them.
    assert got.env.get("DBT_ENGINE_USE_COLORS") in ("0", None)


V1 = "#!/venv/bin/python\nfrom dbt.cli.main import cli\n"
LONG = "#!/bin/sh\n'''exec' \"/a folder/python\" \"$0\"\n' '''\nfrom dbt.cli.main import cli\n"
OTHER = "#!/venv/bin/python\nimport os\n"
V2 = "\x7fELF"
SHIM = "#!/usr/bin/env bash\nexec pyenv exec dbt\n"


@pytest.mark.parametrize(
    ("program", "command", "in_file"),
    [
        (V1, ["dbt", "build"], "1"),
        (V1, ["{}/dbt", "build"], "1"),
        (LONG, ["dbt", "build"], "1"),
        (V1, ["nice", "{}/dbt", "build"], "1"),
        (V1, ["python", "-m", "dbt.cli.main", "build"], "1"),
        (V1, ["dbt", "--no-use-colors", "build"], None),
        (V1, ["dbt", "--no-use-colors-file", "build"], None),
        (V2, ["dbt", "build"], None),
        (V2, ["{}/dbt", "build"], None),
        (SHIM, ["dbt", "build"], None),
        (OTHER, ["dbt", "build"], None),
        (V1, ["uv", "run", "dbt", "build"], None),
        (V1, ["./nightly.sh"], None),
        (V1, ["/nowhere/dbt", "build"], None),
    ],
)
def test_only_a_dbt_that_is_known_to_be_1_is_told_to_colour_its_file(
    program: str, command: list[str], in_file: str | None, tmp_path: Path
) -> None:
    """dbt v2 answers with a warning, in the output that a person reads."""
    (tmp_path / "dbt").write_text(program)
    (tmp_path / "dbt").chmod(0o755)
    words = [word.format(tmp_path) for word in command]
    env = prepared(*words, PATH=str(tmp_path)).env
    assert env.get("DBT_USE_COLORS_FILE") == in_file
    assert "DBT_USE_COLORS_FILE" not in prepared(*words, PATH=str(tmp_path), is_terminal=True).env


@pytest.mark.parametrize("is_terminal", [True, False])
def test_nothing_is_said_that_dbt_v2_refuses(is_terminal: bool) -> None:
    """2.0.0rc196: `debug` is no format of a log file, and `none` is no level."""
    for command in (["dbt", "build"], ["uv", "run", "dbt", "build"], ["./nightly.sh"]):
        got = prepared(*command, is_terminal=is_terminal)
        ours = {k: v for k, v in got.env.items() if k.startswith("DBT_")}
        assert "debug" not in {v for k, v in ours.items() if k.endswith("LOG_FORMAT_FILE")}
        assert "none" not in ours.values()
        assert not [k for k, v in ours.items() if "USE_COLORS" in k and v == "1"]
        assert "--log-format-file debug" not in " ".join(got.argv)


PIPE = Path("/pipes/telemetry.jsonl")


@pytest.mark.parametrize(
    "command",
    [
        ["dbt", "build"],
        ["dbt", "--log-format", "json", "-q", "build", "--log-level", "error"],
        ["/opt/v2/dbt", "build", "--log-format-file", "otel", "--log-level-file", "info"],
        ["nice", "/opt/v2/dbt", "build", "--debug"],
    ],
)
def test_dbt_v2_is_told_of_the_pipe_and_of_nothing_else(command: list[str]) -> None:
    got = prepare(command, {"A": "b"}, is_terminal=False, cwd=Path("/"), telemetry=PIPE)
    assert (got.argv, got.removed, got.prints) == (tuple(command), (), True)
    assert got.env == {"A": "b", "DBT_OTEL_FILE_NAME": str(PIPE)}


@pytest.mark.parametrize(
    ("command", "env"),
    [
        (["dbt", "build", "--otel-file-name", "mine"], {}),
        (["dbt", "build"], {"DBT_OTEL_FILE_NAME": "mine"}),
        (["dbt", "--log-level-file=off", "build"], {}),
        (["dbt", "build"], {"DBT_LOG_LEVEL_FILE": "WARN"}),
    ],
)
def test_a_dbt_v2_that_may_not_write_to_the_pipe_logs_json(
    command: list[str], env: dict[str, str]
) -> None:
    got = prepare(command, env, is_terminal=False, cwd=Path("/"), telemetry=PIPE)
    assert got == prepare(command, env, is_terminal=False, cwd=Path("/"))
    assert not got.prints
    assert got.env.get("DBT_OTEL_FILE_NAME") == env.get("DBT_OTEL_FILE_NAME")


@pytest.mark.parametrize(
    ("options", "env", "is_terminal", "forced"),
    [
        ([], {}, True, "1"),
        ([], {}, False, None),
        ([], {"NO_COLOR": "1"}, True, None),
        (["--no-use-colors"], {}, True, None),
        ([], {"CLICOLOR_FORCE": "0"}, True, "0"),
    ],
)
def test_on_a_terminal_dbt_v2_prints_in_colours(
    options: list[str], env: dict[str, str], is_terminal: bool, forced: str | None
) -> None:
    """It sees a pipe in place of the terminal."""
    command = ["dbt", *options, "build"]
    got = prepare(command, env, is_terminal=is_terminal, cwd=Path("/"), telemetry=PIPE)
    assert got.env.get("CLICOLOR_FORCE") == forced


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
    assert dbt_secrets(env) == ["x", "y"]
