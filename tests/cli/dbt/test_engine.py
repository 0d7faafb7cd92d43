"""Which dbt a command starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbt_relay.cli.dbt.engine import starts_v1, starts_v2

OF_V1 = "#!/usr/bin/python3\nimport sys\nfrom dbt.cli.main import cli\nsys.exit(cli())\n"
V2_SAYS = ("dbt-fusion 2.0.0-preview.196", "dbt 2.0.1", "dbt-core 2.1.0", "dbt=3.0.0")
OTHERS_SAY = (
    "Core:\n  - installed: 1.11.16",
    "dbt Cloud CLI - 0.40.1",
    "dbt 1.12.0",
    "",
    "nonsense",
)


def program(folder: Path, says: str, name: str = "dbt") -> Path:
    """A program that notes each call and prints something."""
    path = folder / name
    path.write_text(f"#!/bin/sh\necho \"$*\" >> {folder}/calls\nprintf '%s\\n' '{says}'\n")
    path.chmod(0o755)
    return path


def calls(folder: Path) -> list[str]:
    path = folder / "calls"
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize("says", V2_SAYS)
def test_a_program_that_says_so_is_v2(tmp_path: Path, says: str) -> None:
    path = program(tmp_path, says)
    for command in ([str(path), "build"], ["dbt", "build"], ["nice", str(path), "build"]):
        assert starts_v2(command, {"PATH": f"{tmp_path}:/usr/bin:/bin"}, tmp_path / "state")
    assert calls(tmp_path) == ["--version"] * 3


@pytest.mark.parametrize("says", OTHERS_SAY)
def test_any_other_program_is_asked_once(tmp_path: Path, says: str) -> None:
    command, state = [str(program(tmp_path, says)), "build"], tmp_path / "state"
    assert not starts_v2(command, {}, state)
    assert not starts_v2(command, {}, state)
    assert calls(tmp_path) == ["--version"]
    program(tmp_path, V2_SAYS[0] + " ")  # another file in its place
    assert starts_v2(command, {}, state)


@pytest.mark.parametrize(
    "command",
    [
        ["uv", "run", "dbt", "build"],
        ["sh", "-c", "dbt build"],
        ["python", "-m", "dbt.cli.main", "build"],
        ["./nightly.sh"],
        ["no-such-program"],
    ],
)
def test_a_program_around_dbt_is_not_asked(tmp_path: Path, command: list[str]) -> None:
    program(tmp_path, V2_SAYS[0])
    program(tmp_path, V2_SAYS[0], "nightly.sh")
    assert not starts_v2(command, {"PATH": str(tmp_path)}, tmp_path)
    assert calls(tmp_path) == []


@pytest.mark.parametrize("start", ["docker run --rm dbt2", "ssh db1", "exec sudo -u dbt", "env -i"])
def test_a_script_that_starts_dbt_elsewhere_is_not_asked(tmp_path: Path, start: str) -> None:
    """Its dbt may not see the pipe."""
    path = program(tmp_path, V2_SAYS[0])
    path.write_text(path.read_text() + f'{start} dbt "$@"\n')
    assert not starts_v2([str(path), "build"], {"PATH": "/usr/bin:/bin"}, None)
    assert calls(tmp_path) == []


def test_the_script_of_dbt_1_is_not_asked(tmp_path: Path) -> None:
    (tmp_path / "dbt").write_text(OF_V1)
    (tmp_path / "dbt").chmod(0o755)
    command, environ = ["dbt", "build"], {"PATH": str(tmp_path)}
    assert starts_v1(command, environ)
    assert not starts_v2(command, environ, tmp_path / "state")
    assert not (tmp_path / "state").exists()
    assert starts_v1(["python", "-m", "dbt.cli.main", "build"], {})


@pytest.mark.parametrize("content", [b"", b"[", b"{}", b"[1, null]", b"\xff"])
def test_a_memory_that_is_damaged_is_written_again(tmp_path: Path, content: bytes) -> None:
    command = [str(program(tmp_path, "dbt 1.11.0")), "build"]
    (tmp_path / "not-dbt-v2.json").write_bytes(content)
    for _ in range(2):
        assert not starts_v2(command, {}, tmp_path)
    assert calls(tmp_path) == ["--version"]


def test_without_a_folder_it_asks_each_time(tmp_path: Path) -> None:
    command = [str(program(tmp_path, "dbt 1.11.0")), "build"]
    (tmp_path / "file").touch()
    for state in (None, tmp_path / "file"):
        assert not starts_v2(command, {}, state)
    assert calls(tmp_path) == ["--version"] * 2


def test_dbt_does_not_get_the_credentials_for_airflow(tmp_path: Path) -> None:
    path = tmp_path / "dbt"
    path.write_text('#!/bin/sh\n[ -z "$DBT_RELAY_AIRFLOW_TOKEN" ] && echo dbt 2.0.0\n')
    path.chmod(0o755)
    assert starts_v2([str(path)], {"DBT_RELAY_AIRFLOW_TOKEN": "secret"}, None)
