"""The benchmarks, which no test runs, find each other's names."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

FILES = sorted((Path(__file__).parents[2] / "benchmarks").glob("*.py"))
NAMES = {path.stem for path in FILES}


def defined(path: Path) -> set[str]:
    """The names that a module defines or imports at its top."""
    found: set[str] = set()
    for statement in ast.parse(path.read_text()).body:
        match statement:
            case ast.FunctionDef() | ast.ClassDef():
                found.add(statement.name)
            case ast.Import() | ast.ImportFrom():
                found |= {alias.asname or alias.name for alias in statement.names}
            case ast.Assign() | ast.AnnAssign():
                found |= {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
            case _:
                pass
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_what_it_takes_from_another_is_there(path: Path) -> None:
    for statement in ast.walk(ast.parse(path.read_text())):
        if isinstance(statement, ast.ImportFrom) and statement.module in NAMES:
            names = {alias.name for alias in statement.names}
            assert names <= defined(path.with_name(f"{statement.module}.py")), statement.module
