"""What the commands leave in the state folder, and what they leave alone there."""

from __future__ import annotations

import stat
import sys
from typing import TYPE_CHECKING

import pytest
from support.command import Shell
from support.logs import log

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "dbt.log").write_bytes(log("1.9.11/example_debug"))
    return Shell(tmp_path, DBT_RELAY_STATE_DIR=str(tmp_path / "state"), PYTHONUTF8="1")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], ids=oct)
@pytest.mark.parametrize("given", [None, 0o777])
def test_nobody_else_reads_it(shell: Shell, umask: int, given: int | None) -> None:
    state = shell.folder / "state"
    if given is not None:
        state.mkdir()
        state.chmod(given)
    command = [
        sys.executable,
        "-c",
        f"print(open({str(shell.folder / 'dbt.log')!r}).read(), end='')",
    ]
    done = shell("run", "--sink", "jsonl:records.jsonl", "--", *command, umask=umask)
    assert done.returncode == 0, done.stderr
    for again in (["runs"], ["show"], ["deliver", "--all"], ["doctor"]):
        shell(*again, umask=umask)
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    for path in state.rglob("*"):
        assert not path.stat().st_mode & 0o077, path
    assert stat.S_IMODE((shell.folder / "records.jsonl").stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("what", ["link", "link to nothing", "file"])
def test_what_is_not_the_journals_is_left_alone(shell: Shell, what: str) -> None:
    (shell.folder / "state").mkdir(mode=0o700)
    path, precious = shell.folder / "state" / "journal.db", shell.folder / "precious"
    if what == "link":
        precious.write_text("mine")
    if what == "file":
        path.write_text("mine")
    else:
        path.symlink_to(precious)
    done = shell("replay", "--sink", "jsonl:records.jsonl", "dbt.log")
    assert done.returncode == 0, done.stderr
    assert "delivered from memory" in done.stderr
    assert "DBT_RELAY_STATE_DIR" in done.stderr
    assert (shell.folder / "records.jsonl").read_text().count("\n") > 1
    shell("show")
    found = shell("doctor")
    assert found.returncode == 78
    if what == "file":
        assert "dbt-relay did not make the file journal.db" in found.stdout
    else:
        assert "journal.db in it is a symbolic link" in found.stdout
    if what != "file":
        assert path.readlink() == precious
    assert precious.exists() == (what == "link")
    if what != "link to nothing":
        assert path.read_text() == "mine"
