"""What the commands leave in the state folder, and what they leave alone there."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from support.logs import log


def relay(home: Path, *arguments: str, umask: int = 0o022) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("DBT_", "AIRFLOW"))}
    return subprocess.run(
        [sys.executable, "-m", "dbt_relay", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=home,
        env={**clean, "DBT_RELAY_STATE_DIR": str(home / "state"), "PYTHONUTF8": "1"},
        timeout=60,
        check=False,
        umask=umask,
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "dbt.log").write_bytes(log("1.9.11/example_debug"))
    return tmp_path


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], ids=oct)
@pytest.mark.parametrize("given", [None, 0o777])
def test_nobody_else_reads_it(home: Path, umask: int, given: int | None) -> None:
    state = home / "state"
    if given is not None:
        state.mkdir()
        state.chmod(given)
    command = [sys.executable, "-c", f"print(open({str(home / 'dbt.log')!r}).read(), end='')"]
    done = relay(home, "run", "--sink", "jsonl:records.jsonl", "--", *command, umask=umask)
    assert done.returncode == 0, done.stderr
    for again in (["runs"], ["show"], ["deliver", "--all"], ["doctor"]):
        relay(home, *again, umask=umask)
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    for path in state.rglob("*"):
        assert not path.stat().st_mode & 0o077, path
    assert stat.S_IMODE((home / "records.jsonl").stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("what", ["link", "link to nothing", "file"])
def test_what_is_not_the_journals_is_left_alone(home: Path, what: str) -> None:
    (home / "state").mkdir(mode=0o700)
    path, precious = home / "state" / "journal.db", home / "precious"
    if what == "link":
        precious.write_text("mine")
    if what == "file":
        path.write_text("mine")
    else:
        path.symlink_to(precious)
    done = relay(home, "replay", "--sink", "jsonl:records.jsonl", "dbt.log")
    assert done.returncode == 0, done.stderr
    assert "delivered from memory" in done.stderr
    assert "DBT_RELAY_STATE_DIR" in done.stderr
    assert (home / "records.jsonl").read_text().count("\n") > 1
    relay(home, "show")
    found = relay(home, "doctor")
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
