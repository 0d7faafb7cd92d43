"""The command around a real dbt on DuckDB."""

from __future__ import annotations

import json
import re
import stat
import sys
from collections import Counter
from pathlib import Path

import pytest

from real_dbt.project import BIN, Project

CLOCK = re.compile(r"^\d\d:\d\d:\d\d", re.MULTILINE)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.parsed(tmp_path)


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project.parsed(tmp_path_factory.mktemp("seeded"))
    project.run("dbt", "seed")
    return project


def test_each_node_has_one_record_that_agrees_with_run_results(project: Project) -> None:
    done = project.relay("dbt", "build")
    assert done.returncode == 1, done.stdout + done.stderr
    results, nodes = project.results(), project.nodes()
    assert nodes.keys() == results.keys()
    for unique_id, result in results.items():
        record = nodes[unique_id]
        assert record["status"] == result["status"]
        assert record.get("message", "") == (result["message"] or "")
        assert record.get("adapter_response", {}) == result["adapter_response"]
        assert record["execution_time"] == pytest.approx(result["execution_time"], rel=1e-6)
    writes = Counter(r["unique_id"] for r in project.records() if "unique_id" in r)
    assert set(writes.values()) == {1}
    assert nodes["model.jaffle.skipped_on_purpose"]["caused_by"] == "model.jaffle.broken_on_purpose"

    *_, run = project.records()
    assert (run["schema"], run["state"], run["exit_code"]) == ("dbt-relay/run@1", "finished", 1)
    assert run["nodes"] == {"success": 21, "failure": 2, "skipped": 1}
    assert (run["announced"], run["missing"]) == (24, 0)
    assert "relay: 24 records, 24 delivered" in done.stdout
    assert '{"data"' not in done.stdout


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        (0, ["run", "--select", "stg_orders"]),
        (1, ["run", "--select", "broken_on_purpose"]),
        (2, ["build", "--selector", "nope"]),
        (2, ["build", "--no-such-flag"]),
        (0, ["ls", "--quiet"]),
        (0, ["--version"]),
    ],
)
def test_exit_code_and_output_are_those_of_plain_dbt(
    seeded: Project, code: int, arguments: list[str]
) -> None:
    plain = seeded.run("dbt", *arguments, DBT_USE_COLORS="0")
    relayed = seeded.relay("dbt", *arguments)
    assert (plain.returncode, relayed.returncode) == (code, code)
    for line in plain.stdout.splitlines():
        if "OK" not in line and "[" not in line and "seconds" not in line:
            assert CLOCK.sub("", line) in CLOCK.sub("", relayed.stdout)


def test_the_users_log_file_stays_as_it_was(project: Project) -> None:
    log = project.root / "logs" / "dbt.log"
    project.run("dbt", "seed")
    plain = log.read_text()
    log.unlink()
    project.relay("dbt", "seed")
    relayed = log.read_text()
    assert '{"data"' not in relayed
    shape = re.compile(r"^\x1b\[0m\d\d:\d\d:\d\d\.\d{6} \[(debug|info ) \]", re.MULTILINE)
    assert len(shape.findall(plain)) == pytest.approx(len(shape.findall(relayed)), rel=0.1)


def test_quiet_is_for_what_the_relay_prints(project: Project) -> None:
    done = project.relay("dbt", "--quiet", "seed")
    assert done.returncode == 0
    assert "relay: --quiet is not passed to dbt" in done.stderr
    assert done.stdout == ""
    assert len(project.nodes()) == 3


def test_the_run_says_how_many_nodes_dbt_never_came_to(project: Project) -> None:
    """What was stopped is in dbt's own file as skipped, if it writes one."""
    build = ("dbt", "build", "--fail-fast", "--threads", "1", "--exclude", "resource_type:snapshot")
    for flags, is_whole in ((("--write-json",), True), (("--no-write-json",), False)):
        (project.root / "target" / "run_results.json").unlink(missing_ok=True)
        done = project.relay("dbt", *flags, *build[1:])
        assert done.returncode == 1, done.stdout + done.stderr
        *_, run = project.records()
        assert (run["missing"] == 0) is is_whole
        assert run["announced"] == len(project.nodes()) + run["missing"]


@pytest.mark.parametrize("flag", [["--log-format", "text"], ["--log-level=warn"]])
def test_flags_that_would_hide_the_log_are_taken_out(project: Project, flag: list[str]) -> None:
    done = project.relay("dbt", "seed", *flag)
    assert done.returncode == 0
    assert "is not passed to dbt" in done.stderr
    assert len(project.nodes()) == 3


def test_dbt_behind_a_script_by_its_environment(project: Project) -> None:
    script = project.root / "nightly.sh"
    script.write_text("#!/bin/sh\necho good morning\ndbt seed && dbt run -s +orders\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    done = project.relay("./nightly.sh")
    assert done.returncode == 0
    assert "good morning\n" in done.stdout
    assert len(project.nodes()) == 6
    assert len({r["invocation_id"] for r in project.nodes().values()}) == 2


def test_dbt_by_its_full_path_and_as_a_module(project: Project) -> None:
    for command in ([str(BIN / "dbt")], [sys.executable, "-m", "dbt.cli.main"]):
        done = project.relay(*command, "seed")
        assert done.returncode == 0, done.stderr
        assert len(project.nodes()) == 3


def test_the_dbt_log_replays_to_the_same_records(project: Project) -> None:
    project.relay("dbt", "--log-format-file", "json", "build")
    live = project.nodes()
    done = project.run("dbt-relay", "replay", "--sink", "jsonl:-", "logs/dbt.log")
    assert done.returncode == 0, done.stderr
    replayed = [json.loads(line) for line in done.stdout.splitlines()]
    assert {r["unique_id"]: r for r in replayed if "unique_id" in r} == live
    assert "relay: 24 records, 24 delivered" in done.stderr


def test_the_in_process_runner_gives_the_same_records(project: Project) -> None:
    script = """
import sys
from dbt.cli.main import dbtRunner
from dbt_relay.parser import RecordCallback
out = open("records.jsonl", "w")
import json
callback = RecordCallback(lambda record: print(json.dumps(record.to_json()), file=out))
dbtRunner(callbacks=[callback]).invoke(["build"])
callback.finish()
"""
    project.relay("dbt", "build")
    wrapped = project.nodes()
    (project.root / "records.jsonl").unlink()
    done = project.run(sys.executable, "-c", script)
    assert done.returncode == 0, done.stderr
    varying = {"started_at", "finished_at", "execution_time", "timing", "invocation_id", "thread"}
    varying |= {"invocation_started_at"}
    varying |= {"index", "caused_by"}  # there is no manifest to read in the callback

    def stable(nodes: dict[str, dict[str, object]]) -> dict[str, dict[str, object]]:
        return {u: {k: v for k, v in r.items() if k not in varying} for u, r in nodes.items()}

    assert stable(project.nodes()) == stable(wrapped)


def test_a_command_hears_of_a_failed_node_and_of_a_project_that_dbt_cannot_parse(
    project: Project,
) -> None:
    on_failure = {"DBT_RELAY_ON_FAILURE": "cat > told.json"}
    assert project.relay("dbt", "build", **on_failure).returncode == 1
    run = json.loads((project.root / "told.json").read_text())
    assert run["causes"][0]["unique_id"] == "model.jaffle.broken_on_purpose"
    assert run["critical_path"]
    (project.root / "models" / "no.sql").write_text("{{ ref('nowhere') }}")
    assert project.relay("dbt", "build", **on_failure).returncode == 2
    run = json.loads((project.root / "told.json").read_text())
    assert run["nodes"] == []
    assert "depends on a node named 'nowhere'" in run["record"]["message"]
