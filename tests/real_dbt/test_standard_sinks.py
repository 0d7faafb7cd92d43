"""The sinks openlineage and otlp around a real dbt 1.11, and around dbt v2."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.collectors import Collected, collecting
from support.environment import clean_environment, forget_settings
from support.openlineage import check, check_runs, ends, kinds
from support.timing import wait_until

from dbt_relay.cli.relay.reopening import reopen
from dbt_relay.cli.settings import Connection
from dbt_relay.records.schema import NodeRecord
from dbt_relay.sinks import Delivered, Journal
from real_dbt.project import BIN, Project

if TYPE_CHECKING:
    from collections.abc import Iterator

V2 = str(Path(__file__).parents[2] / ".venv-v2" / "with-duckdb" / "dbt")
SINKS = ("--sink", "openlineage", "--sink", "otlp")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.copy(tmp_path)


@pytest.fixture
def server() -> Iterator[Collected]:
    with collecting() as collected:
        yield collected


def build(
    project: Project, server: Collected, *command: str, **env: str
) -> subprocess.CompletedProcess[str]:
    state = str(project.root.parent / "state")
    variables = {**server.variables, "DBT_RELAY_STATE_DIR": state, **env}
    done = project.run("dbt-relay", "run", *SINKS, "--", *command, **variables)
    assert "24 delivered to openlineage" in done.stdout, done.stdout + done.stderr
    assert "24 delivered to otlp" in done.stdout
    return done


def test_each_node_is_a_run_with_its_tables_and_its_sql(
    project: Project, server: Collected
) -> None:
    done = build(project, server, "dbt", "build", "--target", "dev")
    assert done.returncode == 1
    check_runs(server.events)
    assert kinds(server.events) == {"START": 24, "COMPLETE": 21, "FAIL": 3}
    found, results = ends(server.events), project.results()
    ran = {u for u, result in results.items() if result["status"] != "skipped"}
    assert found.keys() == {*ran, "dbt-run-jaffle"}
    assert found["dbt-run-jaffle"]["run"]["facets"]["dbt_run"]["project_name"] == "jaffle"
    orders = found["model.jaffle.orders"]
    assert {t["name"] for t in orders["inputs"]} == {
        "jaffle.main.stg_orders",
        "jaffle.main.stg_payments",
    }
    assert [t["name"] for t in orders["outputs"]] == ["jaffle.main.orders"]
    assert {t["namespace"] for t in orders["outputs"]} == {"duckdb://target/jaffle.duckdb"}
    for unique_id in ran:
        has_sql = "sql" in found[unique_id]["job"]["facets"]
        assert has_sql != unique_id.startswith(("seed.", "snapshot.")), unique_id
    (seed,) = found["seed.jaffle.raw_orders"]["outputs"]
    assert seed["outputFacets"]["outputStatistics"]["rowCount"] == 15
    spans = {span.name: span for span in server.spans}
    assert len(spans) == len(ran) + 1
    root = spans["dbt build"]
    assert {s.parent_span_id for s in server.spans} == {b"", root.span_id}
    for span in server.spans:
        assert root.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= root.end_time_unix_nano


def test_dbt_v2_tells_its_tables_at_the_end(project: Project, server: Collected) -> None:
    build(project, server, V2, "build")
    for event in server.events:
        check(event)
    found = ends(server.events)
    assert len(found) == 24
    assert len({event["run"]["runId"] for event in server.events}) == 24
    assert {t["name"] for t in found["model.jaffle.orders"]["inputs"]} == {
        "jaffle.main.stg_orders",
        "jaffle.main.stg_payments",
    }
    assert "sql" in found["test.jaffle.fails_on_purpose"]["job"]["facets"]
    assert {s.parent_span_id for s in server.spans} == {
        b"",
        next(s.span_id for s in server.spans if s.name == "dbt build"),
    }


def sent_again(project: Project, sink: str) -> None:
    """Send all records of the run once more, as `deliver` would do in a new process."""
    with Journal(project.root.parent / "state") as journal:
        run = journal.adopt(1)
        assert run is not None
        again = reopen(sink, run.info.sinks[sink], Connection(), dict(os.environ), run=run)
        nodes = [r for r in run.records() if isinstance(r, NodeRecord)]
        others = [r for r in run.records() if not isinstance(r, NodeRecord)]
        for record in (*nodes, *others):
            assert again.send(record) == Delivered()
        again.close()
        run.close()


def facts(event: dict[str, Any]) -> tuple[str, str, str, str]:
    facets = {**event["job"]["facets"], **event["run"]["facets"]}
    return (
        event["run"]["runId"],
        event["eventType"],
        event["eventTime"],
        str((facets.get("sql"), facets["processing_engine"], event["inputs"], event["outputs"])),
    )


def test_a_later_delivery_says_the_same(
    project: Project, server: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_settings(monkeypatch)
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    build(project, server, "dbt", "build")
    events, spans = [*map(facts, server.events)], {*map(repr, server.spans)}
    server.events.clear()
    server.spans.clear()
    sent_again(project, "openlineage")
    sent_again(project, "otlp")
    assert {*map(facts, server.events)} == {*events}
    assert {*map(repr, server.spans)} == spans
    # dbt has overwritten its files since: the tables' names of the records are left.
    server.events.clear()
    project.run("dbt", "parse")
    sent_again(project, "openlineage")
    check_runs(server.events)
    assert {facts(e)[:3] for e in server.events} == {event[:3] for event in events}
    orders = ends(server.events)["model.jaffle.orders"]
    assert [t["name"] for t in orders["outputs"]] == ["jaffle.main.orders"]
    assert orders["inputs"] == []
    assert "sql" not in orders["job"]["facets"]


def test_a_relay_that_was_killed_is_told_by_deliver(project: Project, server: Collected) -> None:
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    state = str(project.root.parent / "state")
    variables = {**server.variables, "PATH": path, "DBT_RELAY_STATE_DIR": state}
    relay = subprocess.Popen(
        ["dbt-relay", "run", *SINKS, "--", "dbt", "build"],
        cwd=project.root,
        env=clean_environment(**variables),
        stdout=subprocess.DEVNULL,
    )
    wait_until(lambda: len(server.events) > 6 and len(server.spans) > 2, "some events")
    relay.send_signal(signal.SIGKILL)
    relay.wait()
    done = project.run("dbt-relay", "deliver", "--all", **variables)
    assert done.returncode == 0, done.stdout + done.stderr
    found = ends(server.events)
    assert found["dbt-run-jaffle"]["eventType"] == "ABORT"
    starts = {e["run"]["runId"] for e in server.events if e["eventType"] == "START"}
    assert starts == {event["run"]["runId"] for event in found.values()}
    assert len(starts) == len(found), "each job has one run"
    assert len({s.span_id for s in server.spans}) == len({s.name for s in server.spans})


def test_a_server_that_never_answers_keeps_nobody(project: Project, server: Collected) -> None:
    """dbt ends, and so does the relay at its deadline, with the records in the journal."""
    server.stall = 3600.0
    done = project.run(
        "dbt-relay", "run", *SINKS, "--flush-timeout", "1", "--", "dbt", "seed", **server.variables
    )
    server.stall = 0.0
    assert done.returncode == 0
    assert "3 waiting" in done.stdout or "not sent" in done.stdout, done.stdout
