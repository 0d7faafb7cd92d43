"""The docs say what the code says: options, exit codes, fields, parameters, files and links."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest
from support.projects import Project, put_run

from dbt_relay.cli import exit_codes
from dbt_relay.cli.history.columns import COLUMNS
from dbt_relay.cli.main import cli
from dbt_relay.cli.reports.json_form import json_form
from dbt_relay.cli.reports.picture import picture
from dbt_relay.consumer.graph.options import OPTIONS
from dbt_relay.records.schema import DbtTestRecord, RunRecord
from dbt_relay.sinks import Journal
from dbt_relay.sinks.journal import history

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
PAGES = sorted(
    [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "examples").rglob("*.md")],
    key=lambda page: page.relative_to(ROOT).as_posix(),
)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_SYMBOL = re.compile(r"`([\w/]+\.py)`: `([\w.]+)`")
_PATH = re.compile(r"`((?:[\w.-]+/)+(?:[\w.-]+\.\w+)?|[\w-]+\.(?:md|toml|py|yaml))`")


def rows(text: str) -> list[list[str]]:
    """The rows of every table, as cells. A table's head and its line are rows too."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def section(page: str, heading: str) -> str:
    _, _, rest = (REFERENCE / page).read_text().partition(f"\n## {heading}\n")
    assert rest, f"{page} has no section {heading!r}"
    return rest.partition("\n## ")[0]


def quoted(cell: str) -> tuple[str, ...]:
    """What is in backticks."""
    return tuple(re.findall(r"`([^`]+)`", cell))


def command(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


def shown_default(option: click.Option) -> str:
    """As the reference has it: empty if there is none, or an empty text."""
    default: Any = option.get_default(click.Context(cli), call=False)
    if isinstance(default, bool):
        return "on" if default else "off"
    if isinstance(default, float):
        return f"`{default:g}`"
    return f"`{default}`" if isinstance(default, (int, str, Path)) and default != "" else ""


@pytest.mark.parametrize("name", cli.list_commands(click.Context(cli)))
def test_the_options_of_a_command_are_those_of_the_reference(name: str) -> None:
    written = {
        (quoted(row[0]), quoted(row[1]), row[2])
        for row in rows((REFERENCE / "options.md").read_text())
        if len(row) == 5 and name in row[3].split(", ")
    }
    existing = {
        ((*option.opts, *option.secondary_opts), tuple(option.envvar or ()), shown_default(option))
        for option in command(name).params
        if isinstance(option, click.Option)
    }
    assert written == existing


def test_every_exit_code_is_in_the_reference() -> None:
    written = {quoted(row[1]): row[0] for row in rows((REFERENCE / "exit-codes.md").read_text())}
    codes = {name: str(code) for name, code in vars(exit_codes).items() if name.isupper()}
    assert {(name,): code for name, code in codes.items()}.items() <= written.items()
    named = {names[0] for names in written if names}
    assert named == codes.keys()


@pytest.mark.parametrize(
    ("record", "heading"),
    [(DbtTestRecord, "The record of a node"), (RunRecord, "The record of the run")],
)
def test_the_fields_of_a_record_are_those_of_the_reference(record: type, heading: str) -> None:
    written = [quoted(row[0]) for row in rows(section("records.md", heading))[2:]]
    assert written == [("schema",), *((field.name,) for field in fields(record))]


def test_the_fields_of_a_run_as_json_are_those_of_the_reference(tmp_path: Path) -> None:
    number = put_run(tmp_path, Project(5).records(1))
    with Journal(tmp_path) as journal:
        form = json.loads(json_form(picture(journal, history.past_run(journal, number))))
    written = [quoted(row[0]) for row in rows(section("records.md", "The run as JSON"))[2:]]
    assert written == [(name,) for name in form]


def test_the_columns_of_an_export_are_those_of_the_reference() -> None:
    _, _, *written = rows(section("history.md", "The table of `export`"))
    assert [(quoted(row[0])[0], row[1]) for row in written] == [(c.name, c.kind) for c in COLUMNS]


@pytest.mark.parametrize(
    ("path", "name", "heading"),
    [
        ("provider/task_group.py", "dbt_task_group", "`dbt_task_group`"),
        ("provider/sensor.py", "DbtNodeSensor", "`DbtNodeSensor`"),
        ("provider/operator.py", "DbtRelayOperator", "`DbtRelayOperator`"),
    ],
)
def test_the_parameters_of_an_operator_are_those_of_the_reference(
    path: str, name: str, heading: str
) -> None:
    """Read from the source, as Airflow is not installed here."""
    tree = ast.parse((ROOT / path).read_text())
    named = {getattr(node, "name", None): node for node in tree.body}
    found: Any = named[name]
    if isinstance(found, ast.ClassDef):
        found = next(n for n in found.body if getattr(n, "name", "") == "__init__")
    arguments: ast.arguments = found.args
    names = [argument.arg for argument in arguments.kwonlyargs]
    names += [arguments.kwarg.arg] if arguments.kwarg else []
    written = [quoted(row[0]) for row in rows(section("operators.md", heading))[2:]]
    assert written == [(name,) for name in names]


def test_the_options_of_a_node_are_those_of_the_reference() -> None:
    written = [quoted(row[0]) for row in rows(section("operators.md", "Options of one node"))[2:]]
    assert {name for names in written for name in names} == OPTIONS.keys()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_relative_link_leads_to_a_file_and_to_a_heading(page: Path) -> None:
    for target in _LINK.findall(_CODE.sub("", page.read_text())):
        path, _, anchor = target.partition("#")
        if "://" in path:
            continue
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _CODE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_each_page_can_be_reached_from_the_index() -> None:
    linked = {(DOCS / t).resolve() for t in _LINK.findall((DOCS / "index.md").read_text())}
    assert {page for page in DOCS.rglob("*.md") if page.name != "index.md"} <= linked
    assert DOCS / "index.md" in {
        (ROOT / target).resolve() for target in _LINK.findall((ROOT / "README.md").read_text())
    }


def test_the_readme_is_a_front_door() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


@pytest.mark.parametrize("name", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_the_page_names_files_functions_and_tests_that_exist(name: str) -> None:
    text = _CODE.sub("", (ROOT / name).read_text())
    for path in _PATH.findall(text):
        assert (ROOT / path).exists(), path
    for path, symbol in _SYMBOL.findall(text):
        for word in symbol.split("."):
            defined = re.compile(rf"^ *(?:(?:def|class) {word}\b|{word}(?: =|:))", re.MULTILINE)
            assert defined.search((ROOT / path).read_text()), f"{path}: {symbol}"


def test_each_answer_of_the_architecture_names_its_tests() -> None:
    _, _, table = (DOCS / "architecture.md").read_text().partition("\n## Where is …\n")
    _, _, *answers = rows(table)
    assert len(answers) > 10
    for question, _, test in answers:
        named = _SYMBOL.findall(test)
        assert named, question
        assert ", ".join(f"`{path}`: `{symbol}`" for path, symbol in named) == test
        for path, symbol in named:
            assert re.match(r"tests/(\w+/)+test_\w+\.py$", path), path
            assert all(word.lower().startswith("test") for word in symbol.split(".")), symbol


def test_every_package_is_in_the_architecture() -> None:
    text = (DOCS / "architecture.md").read_text()
    layers = ("records", "parser", "sinks", "consumer", "cli", "provider")
    packages = [p.parent for layer in layers for p in (ROOT / layer).rglob("__init__.py")]
    for package in packages:
        assert f"`{package.relative_to(ROOT).as_posix()}/`" in text, package


def test_every_folder_of_the_tests_is_described() -> None:
    described = {
        name.rstrip("/")
        for row in rows((ROOT / "tests" / "README.md").read_text())
        for name in quoted(row[0])
    }
    folders = (path for path in (ROOT / "tests").iterdir() if path.is_dir())
    assert described == {path.name for path in folders if not path.name.startswith(("_", "."))}
