"""Whole commands with the sinks openlineage and otlp, on real logs of dbt."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from support.collectors import Collected, collecting
from support.command import Shell
from support.logs import log
from support.openlineage import check_runs, ends

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SINKS = ("--sink", "openlineage", "--sink", "otlp")
LOGS = [
    "postgres/dbt1_7_build_debug",
    "postgres/dbt1_8_build_debug",
    "postgres/dbt1_11_sigint_debug",
    "1.12.6/build_fail_debug",
    "1.10/build_fail_failfast_debug",
    "1.11.16/sigkill_debug",
    "2.0.0rc196/full_otel",
    "2.0.0rc196/build_fail_debug",
]


@pytest.fixture
def server() -> Iterator[Collected]:
    with collecting() as collected:
        yield collected


@pytest.fixture
def shell(tmp_path: Path, server: Collected) -> Shell:
    (tmp_path / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    target = "{type: postgres, host: db, port: 5432}"
    (tmp_path / "profiles.yml").write_text(f"shop: {{target: a, outputs: {{a: {target}}}}}")
    return Shell(tmp_path, **server.variables)


def replayed(shell: Shell, key: str) -> list[dict[str, object]]:
    """The records of a real log, which also went to both sinks."""
    (shell.folder / "saved.jsonl").write_bytes(log(key))
    done = shell("replay", *SINKS, "--sink", "jsonl:records.jsonl", "saved.jsonl")
    assert done.returncode == 0, done.stderr
    lines = (shell.folder / "records.jsonl").read_text().split("\n")[:-1]
    final = {r.get("unique_id"): r for r in map(json.loads, lines)}
    return [r for unique_id, r in final.items() if unique_id is not None]


@pytest.mark.parametrize("key", LOGS)
def test_each_node_of_a_real_log_that_ran_is_a_run_and_a_span(
    shell: Shell, server: Collected, key: str
) -> None:
    nodes = replayed(shell, key)
    ran = [node for node in nodes if node["outcome"] != "skipped"]
    assert ran
    check_runs(server.events)
    found = ends(server.events)
    assert found.keys() - {"dbt-run-shop"} == {node["unique_id"] for node in ran}
    states = {"success": "COMPLETE", "warning": "COMPLETE", "failure": "FAIL"}
    for node in ran:
        event = found[str(node["unique_id"])]
        assert event["eventType"] == states.get(str(node["outcome"]), "ABORT")
        if node.get("relation") and str(node["unique_id"]).startswith(("model.", "seed.")):
            (table,) = event["outputs"]
            assert table["namespace"] == "postgres://db:5432"
            assert table["name"] == str(node["relation"]).replace('"', "")
    assert len(server.spans) == len(ran) + 1
    assert len({span.trace_id for span in server.spans}) == 1
    assert len({span.span_id for span in server.spans}) == len(server.spans)


def test_a_second_replay_sends_the_same_runs(shell: Shell, server: Collected) -> None:
    replayed(shell, LOGS[0])
    runs = Counter(event["run"]["runId"] for event in server.events)
    spans = {(span.trace_id, span.span_id) for span in server.spans}
    replayed(shell, LOGS[0])
    assert Counter(event["run"]["runId"] for event in server.events) == runs + runs
    assert {(span.trace_id, span.span_id) for span in server.spans} == spans


def test_what_waited_is_delivered_to_where_the_variables_point_today(
    shell: Shell, server: Collected
) -> None:
    gone = {
        "OPENLINEAGE_URL": "http://127.0.0.1:9",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1]:9",
    }
    (shell.folder / "saved.jsonl").write_bytes(log(LOGS[0]))
    words = ("replay", *SINKS, "--flush-timeout", "1", "saved.jsonl")
    done = shell(*words, **gone, OTEL_EXPORTER_OTLP_TIMEOUT="1")
    assert "dbt-relay deliver 1" in done.stdout
    assert not server.events
    done = shell("deliver", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    check_runs(server.events)
    waited = {event["run"]["runId"] for event in server.events}
    spans = {(span.trace_id, span.span_id) for span in server.spans}
    server.events.clear()
    server.spans.clear()
    replayed(shell, LOGS[0])
    assert {event["run"]["runId"] for event in server.events} == waited
    assert {(span.trace_id, span.span_id) for span in server.spans} == spans


def test_deliver_without_the_clients_settings_says_so(shell: Shell) -> None:
    gone = {"OPENLINEAGE_URL": "http://127.0.0.1:9"}
    (shell.folder / "saved.jsonl").write_bytes(log(LOGS[0]))
    shell("replay", "--sink", "openlineage", "--flush-timeout", "1", "saved.jsonl", **gone)
    done = shell("deliver", "1", OPENLINEAGE_URL="")
    assert done.returncode == 78
    assert "set OPENLINEAGE_URL" in done.stderr


def test_a_bad_setting_stops_the_command_before_it_starts(shell: Shell) -> None:
    done = shell("run", "--sink", "openlineage", "--", "echo", "started", OPENLINEAGE_URL="")
    assert done.returncode == 78
    assert "--sink openlineage needs to know where to" in done.stderr
    assert "started" not in done.stdout
