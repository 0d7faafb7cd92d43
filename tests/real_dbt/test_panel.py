"""A real dbt below the panel: dbt's lines are all there, and the panel counts what dbt counts."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.command import RELAY
from support.environment import clean_environment
from support.terminal import Terminal

from real_dbt.project import BIN, Project

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]
DBT_V2 = str(ROOT / ".venv-v2" / "with-duckdb" / "dbt")
_CHANGES = re.compile(r"\d+(\.\d+)?|\.{3,}|\[-+\]")
"""Numbers, and the dots that fill a line up to a number."""


def on_terminal(folder: Path, dbt: str, option: str, *command: str) -> tuple[bytes, list[str]]:
    """All that a run wrote to a terminal, and all lines that it left there."""
    folder.mkdir()
    project = Project.copy(folder)
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    env = clean_environment("CI", "NO_COLOR", PATH=path, XDG_STATE_HOME=str(folder / "state"))
    with Terminal(200, 40) as terminal:
        terminal.start([*RELAY, "run", option, "--", dbt, *command], env, project.root)
        assert terminal.end() == 1
        assert terminal.has_cursor
        return terminal.raw, terminal.scrolled().splitlines()


def alike(lines: Sequence[str]) -> list[str]:
    """The lines in any order, without what changes from run to run."""
    end = lines.index("2 nodes did not succeed:")
    return sorted(re.sub(" +", " ", _CHANGES.sub("#", line)) for line in lines[:end])


@pytest.mark.parametrize("dbt", ["dbt", DBT_V2], ids=["1.11", "v2"])
def test_all_lines_of_dbt_are_there_and_the_panel_is_gone(tmp_path: Path, dbt: str) -> None:
    raw, lines = on_terminal(tmp_path / "panel", dbt, "--progress", "build")
    plain, expected = on_terminal(tmp_path / "plain", dbt, "--no-progress", "build")
    assert b" of 24 nodes" in raw
    assert b" of 24 nodes" not in plain
    assert not [line for line in lines if " of 24 nodes" in line]
    assert alike(lines) == alike(expected)
    assert lines[-1] == "relay: 24 records; a page of the run: dbt-relay report 1"
    skips = "    1 node skipped for it: model.jaffle.skipped_on_purpose"
    assert lines.index(skips) < lines.index("  test.jaffle.fails_on_purpose [fail]")
