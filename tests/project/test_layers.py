"""The arrows run one way: cli → sinks, parser, consumer → records; provider → consumer → records.

No two files import each other, on whatever way. `parser` and `records` touch nothing but their
input.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAY_IMPORT: dict[str, set[str]] = {
    "records": set(),
    "parser": {"records"},
    "consumer": {"records"},
    "sinks": {"records"},
    "cli": {"records", "parser", "consumer", "sinks"},
    "provider": {"records", "consumer"},
}
IMPURE = {"os", "time", "logging", "socket", "subprocess", "asyncio", "io", "pathlib", "random"}
IMPURE |= {"datetime", "sqlite3", "urllib", "sys"}
COMMANDS = {"deliver", "doctor", "replay", "run", "runs", "wait"}
"""Modules of `cli` that are imported by name."""

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


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_the_provider_imports_airflow(path: Path) -> None:
    used = {name.partition(".")[0] for level, name in imports(path) if level == 0}
    assert "airflow" not in used or path.parent == ROOT / "provider"


@pytest.mark.parametrize(
    "path",
    [path for layer in ("records", "parser") for path in sorted((ROOT / layer).glob("*.py"))],
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_records_and_parser_are_pure(path: Path) -> None:
    used = {name.partition(".")[0] for level, name in imports(path) if level == 0}
    assert not used & IMPURE
    calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
    names = {n.func.id for n in calls if isinstance(n.func, ast.Name)}
    assert not names & {"open", "print", "input"}


def files_imported_by(path: Path) -> set[Path]:
    """The modules of ours that a module names in its imports, those for type checkers too."""
    found: set[Path] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        base = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
        for name in (alias.name for alias in node.names):
            candidates = (base / f"{name}.py", base.with_suffix(".py"), base / "__init__.py")
            found.update([c for c in candidates if c.is_file()][:1])
    return found - {path}


def test_no_file_imports_itself_by_way_of_others() -> None:
    arrows = {path: files_imported_by(path) for path in MODULES}
    arrows[ROOT / "cli" / "commands.py"] |= {ROOT / "cli" / f"{name}.py" for name in COMMANDS}
    reached: dict[Path, set[Path]] = {}
    for path in MODULES:
        seen: set[Path] = set()
        todo = [*arrows[path]]
        while todo:
            other = todo.pop()
            if other not in seen:
                seen.add(other)
                todo += arrows.get(other, ())
        reached[path] = seen
    circles = [str(path.relative_to(ROOT)) for path in MODULES if path in reached[path]]
    assert circles == []


def test_a_new_module_is_seen() -> None:
    """What the arrows are made of: an import of a name, of a module, and of a package's face."""
    names = {p.name for p in files_imported_by(ROOT / "cli" / "main.py")}
    assert {"commands.py", "streams.py", "__init__.py"} <= names


LONGEST_MODULE = 300
LONGEST_FUNCTION = 50


def test_no_module_and_no_function_is_too_long_to_read_at_a_glance() -> None:
    too_long = []
    for path in MODULES:
        text = path.read_text()
        name = str(path.relative_to(ROOT))
        if text.count("\n") > LONGEST_MODULE:
            too_long.append(f"{name}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                text_of_it = ast.get_docstring(node, clean=False) or ""
                length = (node.end_lineno or 0) - node.lineno - text_of_it.count("\n")
                if length > LONGEST_FUNCTION:
                    too_long.append(f"{name}, {node.name}: {length} lines")
    assert too_long == []


def test_the_packages_of_the_consumer_do_not_import_each_other() -> None:
    for package, other in (("waiting", "graph"), ("graph", "waiting")):
        for path in (ROOT / "consumer" / package).glob("*.py"):
            used = {file.parent.name for file in files_imported_by(path)}
            assert other not in used, f"{path} imports consumer/{other}"


def test_no_dict_of_options_travels_through_the_commands() -> None:
    for path in (ROOT / "cli").rglob("*.py"):
        assert 'options["' not in path.read_text(), path
