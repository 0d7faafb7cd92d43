"""JUnit XML as a CI system reads it, and annotations by the rules of GitHub Actions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from junitparser import Error, Failure, JUnitXml, Skipped
from support.projects import Project
from support.records import node

from dbt_relay.cli.reports.github import annotation_lines
from dbt_relay.cli.reports.junit import junit
from dbt_relay.cli.reports.markdown import markdown
from dbt_relay.cli.reports.picture import Picture
from dbt_relay.cli.reports.writing import for_github
from dbt_relay.sinks import RunInfo
from dbt_relay.sinks.journal.history import PastRun

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbt_relay.records.schema import NodeRecord

ATTRIBUTES = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": {
        "name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname", "id",
        "package",
    },
    "testcase": {"name", "classname", "time"},
    "failure": {"type", "message"},
    "error": {"type", "message"},
    "skipped": {"type", "message"},
    "system-out": set[str](),
}  # fmt: skip
"""What Jenkins's schema for JUnit (junit-10.xsd of its xUnit plugin) allows."""
NODES = [
    node("model.a.orders", execution_time=1.5, started_at="2026-11-26T03:00:00.5Z"),
    node("test.a.fails.1", "fail", failures=5, message="Got 5 results"),
    node("test.a.breaks.2", "error", message="no such column\nline 2"),
    node("test.a.warns.3", "warn", message="Got 1 result"),
    node("model.a.dies", "interrupted", message="killed by SIGKILL"),
    node("model.a.left_out", "skipped", caused_by="model.a.dies"),
]


def test_junit_as_a_reader_reads_it(drawn: Callable[..., Picture]) -> None:
    found = JUnitXml.fromstring(junit(drawn(NODES)).encode())
    cases = {case.name: case for suite in found for case in suite}
    assert {name: [type(r) for r in case.result] for name, case in cases.items()} == {
        "model.a.orders": [],
        "test.a.fails.1": [Failure],
        "test.a.breaks.2": [Error],
        "test.a.warns.3": [],
        "model.a.dies": [Error],
        "model.a.left_out": [Skipped],
    }
    assert cases["test.a.breaks.2"].result[0].text == "no such column\nline 2"
    assert "Got 1 result" in cases["test.a.warns.3"].system_out
    before = (found.tests, found.failures, found.errors)
    found.update_statistics()
    assert before == (found.tests, found.failures, found.errors) == (6, 1, 2)


def test_a_model_is_a_suite_and_its_tests_are_the_cases(drawn: Callable[..., Picture]) -> None:
    project = Project(30)
    found = JUnitXml.fromstring(junit(drawn(project.records(), project=project)).encode())
    suites = {suite.name: [case.name for case in suite] for suite in found}
    assert suites.keys() == {u for u in project.parents if u.startswith("model.")}
    for name, (own, *tests) in suites.items():
        assert own == name.split(".")[2]
        mine = [
            u.split(".")[2] for u, of in project.parents.items() if u[0] == "t" and of == [name]
        ]
        assert tests == mine


@pytest.mark.parametrize("nodes", [NODES, Project(60).records(2), []])
def test_junit_has_what_the_schema_allows(
    drawn: Callable[..., Picture], nodes: list[NodeRecord]
) -> None:
    root = ET.fromstring(junit(drawn(nodes)))
    for element in root.iter():
        assert {*element.keys()} <= ATTRIBUTES[element.tag], element.tag
        if element.tag == "testsuite":
            assert {"name", "tests", "failures", "errors"} <= {*element.keys()}
        assert re.fullmatch(r"\d+\.\d{3}", element.get("time", "0.000"))


def picture_of(**fields: Any) -> Picture:
    """A run with one failed node, in no journal."""
    info = RunInfo(command=("dbt", "build"), started_at="2026-11-26T03:00:00Z")
    run = PastRun(1, info, None, False, {}, {}, False, 0)
    return Picture(run, (node("model.a.b", "error", **fields),), {}, None, {}, None, {}, ())


@given(st.text())
@example("\ufffe\uffff \ud800 \x00")
def test_no_text_breaks_the_xml(text: str) -> None:
    ET.fromstring(junit(picture_of(message=text, name=text or None, error_type=text or None)))


@given(st.text())
def test_a_text_stays_within_its_annotation(text: str) -> None:
    (line,) = annotation_lines(picture_of(message=text), Path("/"))
    assert len(line.split("\n")) == 1
    assert "\r" not in line
    head = "::error title=model.a.b [error]::"
    assert line.startswith(head)
    assert "%" not in re.sub(r"%(25|0A|0D)", "", line.removeprefix(head))


def test_an_annotation_points_at_the_models_file(
    drawn: Callable[..., Picture], tmp_path: Path
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a,b.sql").write_text("select")
    fields = {"path": "models/a,b.sql", "message": "100% bad\n(in models/a,b.sql:3:7)"}
    records = [
        node("model.a.b", "error", **fields),
        node("model.a.c", "skipped", caused_by="model.a.b"),
        node("test.a.d", "warn", message="Got 1 result", path="gone.sql"),
    ]
    first, second = annotation_lines(drawn(records), tmp_path.parent)
    place = unquote(first.partition("::")[2].partition("::")[0])
    assert place.startswith(f"error file={tmp_path.name}/models/a,b.sql,line=3,col=7,title=")
    assert "a%2Cb.sql" in first
    assert first.endswith("::100%25 bad%0A(in models/a,b.sql:3:7)%0A(1 node was skipped for it)")
    assert second == "::warning title=test.a.d [warn]::Got 1 result"


def test_a_line_of_other_sql_is_no_line_of_the_model(
    drawn: Callable[..., Picture], tmp_path: Path
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "a.sql").write_text("select")
    message = "no column\n(in run/shop/models/a.sql:1:11)"
    failed = node("model.shop.a", "error", path="models/a.sql", message=message)
    (line,) = annotation_lines(drawn([failed]), tmp_path)
    assert line.startswith("::error file=models/a.sql,title=")


def test_a_summary_fits_into_the_room_that_github_leaves(
    drawn: Callable[..., Picture], tmp_path: Path
) -> None:
    summary = tmp_path / "summary"
    environ = {"GITHUB_STEP_SUMMARY": str(summary)}
    long = drawn([node(f"model.a.m{n}", "error", message="é" * 4000) for n in range(60)])

    def added(before: int) -> str:
        summary.write_bytes(b"x" * before)
        lines = [*for_github(long, environ)]
        assert summary.stat().st_size <= 1 << 20
        assert ("nothing is added to the step's summary" in lines[0]) is (before == 1 << 20)
        return summary.read_text()[before:]

    assert "and 10 failures more" in added(0)
    assert "and 40 failures more" in added(700_000)
    assert "and 60 failures more" in added((1 << 20) - 2000)
    assert added(1 << 20) == ""


@pytest.mark.parametrize("text", ["```\n# no heading", "````", "| a | b |", "<b>"])
def test_no_text_leaves_its_block_of_markdown(drawn: Callable[..., Picture], text: str) -> None:
    said = markdown(drawn([node("model.a.b", "error", message=text)]))
    fence = re.search(r"^(`{3,})text$", said, re.MULTILINE)
    assert fence is not None
    assert f"{fence[1]}text\n{text}\n{fence[1]}\n" in said
    assert fence[1] not in text
