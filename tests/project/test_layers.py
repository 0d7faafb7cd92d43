"""The arrows run one way: cli → sinks, parser, consumer → records; provider → consumer → records.

No two files import each other, on whatever way. `parser` and `records` touch nothing but their
input.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

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
IMPURE |= {"sqlite3", "urllib", "sys"}
CLOCK = {"now", "today", "utcnow"}
"""What the module datetime asks the clock with."""
COMMANDS = {"deliver", "doctor", "export", "replay", "report", "run", "runs", "stats", "wait"}
"""Modules of `cli` that are imported by name."""

MODULES = [path for layer in MAY_IMPORT for path in sorted((ROOT / layer).rglob("*.py"))]
LONGEST_MODULE = 300
LONGEST_FUNCTION = 50
OPTIONS_DICT = re.compile(r"\boptions(: dict\b|\[)")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imports(path: Path) -> list[tuple[int, str]]:
    """Each import as (how many folders up, dotted name)."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found += [(0, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found += [(node.level, name) for name in names]
    return found


def absolute_imports(path: Path) -> set[str]:
    """The packages that a module imports by their own name."""
    return {name.partition(".")[0] for level, name in imports(path) if level == 0}


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_a_module_imports_only_from_the_layers_below() -> None:
    wrong: list[str] = []
    for path in MODULES:
        layer, *folders = path.relative_to(ROOT).parts[:-1]
        up_to_root = len(folders) + 2
        for level, name in imports(path):
            top = name.partition(".")[0]
            is_of_layer = top in MAY_IMPORT[layer] | {layer, "__version__"}
            if level > up_to_root or (level == up_to_root and not is_of_layer):
                wrong.append(f"{short(path)}: {layer} must not import {'.' * level}{name}")
    assert not wrong, "\n".join(wrong)


def test_a_module_imports_the_package_relatively() -> None:
    ours = {"dbt_relay", *MAY_IMPORT}
    wrong = [short(path) for path in MODULES if absolute_imports(path) & ours]
    assert not wrong, "\n".join(wrong)


def test_only_the_provider_imports_airflow() -> None:
    others = [path for path in MODULES if path.parent != ROOT / "provider"]
    wrong = [short(path) for path in others if "airflow" in absolute_imports(path)]
    assert not wrong, "\n".join(wrong)


def test_records_and_parser_are_pure() -> None:
    wrong: list[str] = []
    for path in MODULES:
        if path.parent.name in ("records", "parser"):
            calls = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]
            names = {call.func.id for call in calls if isinstance(call.func, ast.Name)}
            methods = {call.func.attr for call in calls if isinstance(call.func, ast.Attribute)}
            found = absolute_imports(path) & IMPURE | names & {"open", "print", "input"}
            found |= methods & CLOCK
            wrong += [f"{short(path)}: {name}" for name in sorted(found)]
    assert not wrong, "\n".join(wrong)


def files_imported_by(path: Path) -> set[Path]:
    """The modules of ours that a module names in its imports, those for type checkers too."""
    found: set[Path] = set()
    for node in ast.walk(tree(path)):
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
    circles = [short(path) for path in MODULES if path in reached[path]]
    assert not circles, "\n".join(circles)


def test_a_new_module_is_seen() -> None:
    """What the arrows are made of: an import of a name, of a module, and of a package's face."""
    names = {p.name for p in files_imported_by(ROOT / "cli" / "main.py")}
    assert {"commands.py", "streams.py", "__init__.py"} <= names


def test_no_module_is_too_long_to_keep_in_mind() -> None:
    lengths = {short(path): len(path.read_text().splitlines()) for path in MODULES}
    wrong = [f"{name}: {lines}" for name, lines in lengths.items() if lines > LONGEST_MODULE]
    assert not wrong, "\n".join(wrong)


def test_no_function_is_too_long_to_read_at_a_glance() -> None:
    wrong: list[str] = []
    for path in MODULES:
        for node in ast.walk(tree(path)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                docstring = ast.get_docstring(node, clean=False) or ""
                lines = (node.end_lineno or 0) - node.lineno - docstring.count("\n")
                if lines > LONGEST_FUNCTION:
                    wrong.append(f"{short(path)}:{node.lineno} {node.name}: {lines}")
    assert not wrong, "\n".join(wrong)


def test_the_packages_of_the_consumer_do_not_import_each_other() -> None:
    for package, other in (("waiting", "graph"), ("graph", "waiting")):
        for path in (ROOT / "consumer" / package).glob("*.py"):
            used = {file.parent.name for file in files_imported_by(path)}
            assert other not in used, f"{path} imports consumer/{other}"


def test_no_dict_of_options_travels_through_the_commands() -> None:
    wrong = [
        f"{short(path)}:{number}: {line.strip()}"
        for path in (ROOT / "cli").rglob("*.py")
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if OPTIONS_DICT.search(line)
    ]
    assert not wrong, "\n".join(wrong)
