"""`dbt-relay report`, and `run --report` at the end of a run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
from support.logs import log
from support.projects import Project, put_run

from dbt_relay.records.schema import RunRecord
from dbt_relay.sinks import Journal
from dbt_relay.sinks.journal import history

if TYPE_CHECKING:
    from pathlib import Path

    from support.command import Typed

FIRST = {
    "html": "<!doctype html>",
    "junit": "<?xml version='1.0' encoding='UTF-8'?>",
    "markdown": "## ❌ dbt: Run 1: finished",
    "github": "## ❌ dbt: Run 1: finished",
    "json": '{"schema":"dbt-relay/report@1"',
}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    put_run(tmp_path / "state", Project(30).records(1), exit_code=None)
    return tmp_path / "state"


@pytest.fixture
def dbt_log(tmp_path: Path) -> Path:
    path = tmp_path / "dbt.log"
    path.write_bytes(log("1.9.11/example_debug"))
    return path


@pytest.mark.parametrize("form", FIRST)
def test_each_format_goes_to_stdout_or_to_a_file(
    typed: Typed, state: Path, tmp_path: Path, form: str
) -> None:
    done = typed("report", "--state-dir", state, "--format", form, "--out", "-")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(FIRST[form])
    out = tmp_path / "a report"
    assert typed("report", "1", "--state-dir", state, "--format", form, "--out", out).stdout == (
        f"{out}\n"
    )
    # Each document names when it was written, or it is the same.
    assert out.read_text().splitlines()[:1] == done.stdout.splitlines()[:1]


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.html", "html"),
        ("A.XML", "junit"),
        ("a.md", "markdown"),
        ("a.json", "json"),
        ("a", "html"),
    ],
)
def test_the_name_of_the_file_says_the_format(
    typed: Typed, state: Path, tmp_path: Path, name: str, form: str
) -> None:
    assert typed("report", "--state-dir", state, "--out", tmp_path / name).returncode == 0
    assert (tmp_path / name).read_text().startswith(FIRST[form])


def test_a_name_that_says_no_format_is_refused(typed: Typed, state: Path, tmp_path: Path) -> None:
    done = typed("report", "--state-dir", state, "--out", tmp_path / "a.csv")
    assert done.returncode == 64
    assert "end it with .htm, .html, .xml, .md, .json, or add --format" in done.stderr
    assert not (tmp_path / "a.csv").exists()


def test_a_run_that_goes_on_is_not_good_yet(typed: Typed, tmp_path: Path) -> None:
    state, records = tmp_path / "state", Project(30).records(1)
    put_run(state, records)
    good = [record for record in records if record.outcome == "success"]
    with Journal(state) as journal:
        run = journal.begin(history.past_run(journal, 1).info)
        run.put(RunRecord(state="running", announced=30), 0.0)
        run.put(good[0], 0.0)
        done = typed("report", "--state-dir", state, "--format", "markdown")
    assert done.stdout.startswith("## ⏳ dbt: Run 2: running, 1 of 30 nodes so far\n")
    assert "- gone:" not in done.stdout


def test_without_out_a_page_is_named_by_its_run(
    typed: Typed, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert typed("report", "--state-dir", state).stdout == "run-1.html\n"
    assert (tmp_path / "run-1.html").exists()


def test_in_github_actions_the_summary_goes_to_the_jobs_page(
    typed: Typed, state: Path, tmp_path: Path
) -> None:
    page = tmp_path / "summary"
    page.write_text("of an earlier command\n")
    arguments = ("report", "--state-dir", state, "--format", "github")
    done = typed(*arguments, GITHUB_STEP_SUMMARY=str(page))
    assert all(line.startswith(("::error ", "::warning ")) for line in done.stdout.splitlines())
    assert done.stdout
    assert page.read_text().startswith("of an earlier command\n## ❌ dbt: Run 1")


def test_no_run_and_no_folder_are_said_in_a_line(typed: Typed, state: Path, tmp_path: Path) -> None:
    done = typed("report", "9", "--state-dir", state)
    assert (done.returncode, done.stdout) == (64, "")
    assert "there is no run 9 in " in done.stderr
    done = typed("report", "--state-dir", state, "--out", tmp_path / "no" / "a.html")
    assert (done.returncode, done.stdout) == (64, "")
    assert "the report cannot be written to " in done.stderr
    done = typed("report", "--state-dir", tmp_path / "empty")
    assert (done.returncode, done.stdout) == (64, "")


def test_a_run_writes_its_reports_at_its_end(typed: Typed, tmp_path: Path, dbt_log: Path) -> None:
    page, xml, form = (tmp_path / name for name in ("run.html", "run.xml", "run.json"))
    reports = [word for path in (page, xml, form) for word in ("--report", path)]
    state = ("--state-dir", tmp_path / "state")
    done = typed("run", *state, *reports, "--", "cat", dbt_log)
    assert done.returncode == 0
    assert f"relay: report: {page}\n" in done.stdout
    assert page.read_text().startswith(FIRST["html"])
    assert len([*ET.fromstring(xml.read_text()).iter("testcase")]) == 24
    report = json.loads(form.read_text())
    assert (report["state"], len(report["nodes"])) == ("finished", 24)


def test_a_report_that_cannot_be_written_changes_no_result(
    typed: Typed, tmp_path: Path, dbt_log: Path
) -> None:
    paths = (tmp_path / "no" / "a.html", tmp_path / "b.html")
    reports = [word for path in paths for word in ("--report", path)]
    done = typed("run", "--state-dir", tmp_path / "state", *reports, "--", "cat", dbt_log)
    assert done.returncode == 0
    assert f"relay: the report cannot be written to {paths[0]}: No such file" in done.stdout
    assert paths[1].exists()


def test_a_fault_in_a_report_changes_no_result(
    typed: Typed, tmp_path: Path, dbt_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dbt_relay.cli.reports.writing.text_of", lambda *_: 1 / 0)
    arguments = ("--state-dir", tmp_path / "state", "--report", tmp_path / "a.html")
    done = typed("run", *arguments, "--", "cat", dbt_log)
    assert done.returncode == 0
    assert "relay: no report, because dbt-relay failed" in done.stdout
    assert "ZeroDivisionError" in done.stderr
