"""The arrows run one way: cli → sinks → parser, and the parser touches nothing but its input."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAY_IMPORT = {
    "parser": set(),
    "sinks": {"parser"},
    "consumer": {"parser"},
    "cli": {"parser", "sinks", "consumer"},
}
IMPURE = {"os", "time", "logging", "socket", "subprocess", "asyncio", "io", "pathlib", "random"}
IMPURE |= {"datetime", "sqlite3", "urllib", "sys"}
MODULES = [path for layer in MAY_IMPORT for path in sorted((ROOT / layer).rglob("*.py"))]


def imports(path: Path) -> list[tuple[int, str]]:
    """Each import as (how many folders up, dotted name)."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(0, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found += [(node.level, name) for name in names]
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_only_from_the_layers_below(path: Path) -> None:
    folders = path.relative_to(ROOT).parts[:-1]
    layer = folders[0]
    for level, name in imports(path):
        top = name.partition(".")[0]
        if level == 0:
            assert top != "dbt_relay", f"{path}: inside the package imports are relative"
            assert top not in MAY_IMPORT
        elif level == len(folders) + 1 and top != "__version__":
            assert top in MAY_IMPORT[layer] | {layer}, f"{path}: {layer} must not import {top}"
        assert level <= len(folders) + 1


@pytest.mark.parametrize("path", sorted((ROOT / "parser").glob("*.py")), ids=lambda p: p.name)
def test_the_parser_is_pure(path: Path) -> None:
    used = {name.partition(".")[0] for level, name in imports(path) if level == 0}
    assert not used & IMPURE
    calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
    names = {n.func.id for n in calls if isinstance(n.func, ast.Name)}
    assert not names & {"open", "print", "input"}
