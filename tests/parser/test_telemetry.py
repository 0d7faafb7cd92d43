"""dbt v2's telemetry, record by record. Its real logs are tested in test_dbt_v2.py."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.logs import fold, log

from dbt_relay.parser import Event, EventReader

TRACE = "01a21986ce127de084e772bc9757ea06"
NODE = {"unique_id": "model.p.a", "name": "a", "node_type": "NODE_TYPE_MODEL", "in_selection": True}
KINDS = {
    "Process": "process",
    "QueryExecuted": "query",
    "NodeProcessed": "node",
    "NodeEvaluated": "node",
    "HookProcessed": "hook",
    "LogMessage": "log",
}


def record(form: str, kind: str, attributes: dict[str, Any], **fields: Any) -> bytes:
    times = {"start_time_unix_nano": "1795724594000000000"}
    if form == "SpanEnd":
        times["end_time_unix_nano"] = "1795724595500000000"
    value: dict[str, Any] = {"record_type": form, "trace_id": TRACE, **times}
    value |= {"event_type": f"v1.public.events.fusion.{KINDS[kind]}.{kind}"}
    value |= {"severity_text": "INFO", "attributes": attributes, **fields}
    return json.dumps(value).encode() + b"\n"


PROCESS = record("SpanStart", "Process", {"version": "2.0.0"})


def ended(**attributes: Any) -> bytes:
    return record("SpanEnd", "NodeProcessed", {**NODE, **attributes})


@pytest.mark.parametrize(
    ("attributes", "status", "outcome"),
    [
        ({"node_outcome": "NODE_OUTCOME_SUCCESS"}, "success", "success"),
        ({"node_outcome": "NODE_OUTCOME_ERROR"}, "error", "failure"),
        ({"node_outcome": "NODE_OUTCOME_CANCELED"}, "cancelled", "interrupted"),
        ({"node_outcome": "NODE_OUTCOME_SKIPPED"}, "skipped", "skipped"),
        ({"node_outcome": "NODE_OUTCOME_NEW"}, "new", "warning"),
        ({}, "unknown", "warning"),
    ],
)
def test_an_outcome(attributes: dict[str, Any], status: str, outcome: str) -> None:
    node = fold(PROCESS + ended(**attributes)).final["model.p.a"]
    assert (node.status, node.outcome) == (status, outcome)
    assert node.has_succeeded == (outcome == "success")
    assert (node.dbt_version, node.invocation_id) == (
        "2.0.0",
        "01a21986-ce12-7de0-84e7-72bc9757ea06",
    )
    assert node.started_at == "2026-11-26T20:23:14.000000Z"
    assert node.finished_at == "2026-11-26T20:23:15.500000Z"


@pytest.mark.parametrize(
    ("detail", "status"),
    [
        ({"node_test_detail": {}}, "pass"),
        ({"node_test_detail": {"test_outcome": "TEST_OUTCOME_WARNED", "failing_rows": 1}}, "warn"),
        ({"node_test_detail": {"test_outcome": "TEST_OUTCOME_FAILED", "failing_rows": 2}}, "fail"),
        ({"node_freshness_outcome": {}}, "pass"),
        (
            {
                "node_freshness_outcome": {
                    "node_freshness_outcome": "SOURCE_FRESHNESS_OUTCOME_OUTCOME_WARNED"
                }
            },
            "warn",
        ),
        (
            {
                "node_freshness_outcome": {
                    "node_freshness_outcome": "SOURCE_FRESHNESS_OUTCOME_OUTCOME_FAILED"
                }
            },
            "error",
        ),
        (
            {
                "node_evaluation_detail": {
                    "node_warning_outcome": "NODE_WARNING_OUTCOME_WITH_WARNINGS"
                }
            },
            "warn",
        ),
    ],
)
def test_a_success_may_be_less(detail: dict[str, Any], status: str) -> None:
    """Of a test, of a source's freshness, and of a model with warnings."""
    stream = ended(node_outcome="NODE_OUTCOME_SUCCESS", **detail)
    assert fold(PROCESS + stream).final["model.p.a"].status == status


def test_a_node_that_is_reused_says_why() -> None:
    reasons = {
        "NODE_CACHE_REASON_NO_CHANGES": "no code or data changes",
        "NODE_CACHE_REASON_STILL_FRESH": "still fresh",
        "NODE_CACHE_REASON_NEW": None,
    }
    for reason, message in reasons.items():
        stream = ended(
            node_outcome="NODE_OUTCOME_SKIPPED",
            node_skip_reason="NODE_SKIP_REASON_CACHED",
            node_cache_detail={"node_cache_reason": reason},
        )
        node = fold(PROCESS + stream).final["model.p.a"]
        assert (node.status, node.outcome, node.message) == ("reused", "success", message)


@pytest.mark.parametrize("is_after", [True, False])
def test_a_run_phase_without_an_outcome_is_never_a_success(is_after: bool) -> None:
    aborted = record("SpanEnd", "NodeEvaluated", {**NODE, "phase": "EXECUTION_PHASE_RUN"})
    success = ended(node_outcome="NODE_OUTCOME_SUCCESS")
    stream = success + aborted if is_after else aborted + success
    node = fold(PROCESS + stream).final["model.p.a"]
    assert (node.status, node.outcome) == ("error", "interrupted")


def test_a_node_outside_the_selection_has_no_record() -> None:
    start = record("SpanStart", "NodeProcessed", {**NODE, "in_selection": False})
    end = ended(node_outcome="NODE_OUTCOME_SUCCESS", in_selection=False)
    assert fold(PROCESS + start + end).records == []


@pytest.mark.parametrize(
    ("kind", "ids"),
    [
        ("HOOK_TYPE_ON_RUN_START", ["operation.p.p-on-run-start-0"]),
        ("HOOK_TYPE_ON_RUN_END", ["operation.p.p-on-run-start-0"]),
        ("HOOK_TYPE_PRE_HOOK", []),
        ("HOOK_TYPE_POST_HOOK", []),
    ],
)
def test_a_hook_of_the_run_has_a_record_and_a_hook_of_a_node_has_none(
    kind: str, ids: list[str]
) -> None:
    hook = {"unique_id": "operation.p.p-on-run-start-0", "hook_type": kind, "name": "p-on-run"}
    stream = record("SpanStart", "HookProcessed", hook)
    stream += record("SpanEnd", "HookProcessed", {**hook, "hook_outcome": "HOOK_OUTCOME_ERROR"})
    records = fold(PROCESS + stream).final
    assert [*records] == ids
    assert {node.outcome for node in records.values()} <= {"failure"}


def test_a_run_that_ends_early_leaves_its_running_nodes_interrupted() -> None:
    stream = PROCESS + record("SpanStart", "NodeProcessed", NODE)
    assert fold(stream).final["model.p.a"].outcome == "interrupted"


def test_it_announces_how_many_nodes_dbt_will_run() -> None:
    """Ephemeral models among them, and no hooks."""
    for scenario, announced in (("build_fail_otel", 24), ("full_otel", 50), ("cancelled_otel", 2)):
        run = fold(log(f"2.0.0rc196/{scenario}")).run
        assert (run.announced, run.missing) == (announced, 0)
    stopped = fold(log("2.0.0rc196/failfast_otel")).run
    assert (stopped.announced, stopped.missing) == (24, 1)


def test_several_runs_in_one_stream() -> None:
    first = log("2.0.0rc196/build_fail_otel")
    second = first.replace(b"01a214f072497682847f55d85954804c", b"01a214f072497682847f55d85954804d")
    assert first != second
    invocations = fold(first + second).run.invocations
    assert [len(invocation.nodes) for invocation in invocations] == [24, 24]


def test_all_of_the_telemetry_is_read() -> None:
    """No line of it is shown as text that dbt printed."""
    for scenario in ("build_fail_otel", "full_otel", "cancelled_otel", "failfast_otel"):
        folded = fold(log(f"2.0.0rc196/{scenario}"))
        assert (folded.texts, folded.reader.malformed) == ([], 0)


@pytest.mark.parametrize("wrap", ["docker", "airflow", "compose", "cri"])
def test_in_the_wrapping_of_a_collector(wrap: str) -> None:
    lines = log("2.0.0rc196/build_fail_otel").decode().splitlines()
    forms = {
        "docker": lambda line: json.dumps({"log": line + "\n", "stream": "stdout", "time": "t"}),
        "airflow": lambda line: json.dumps({"event": line, "level": "info"}),
        "compose": lambda line: f"dbt-1  | {line}",
        "cri": lambda line: f"2026-01-02T03:04:05.6Z stdout F {line}",
    }
    wrapped = "\n".join(forms[wrap](line) for line in lines) + "\n"
    assert fold(wrapped.encode()).final == fold(log("2.0.0rc196/build_fail_otel")).final


@pytest.mark.parametrize("value", [None, 1, "x", [], {}, True, "9" * 40, -1, 1e400])
def test_a_field_of_another_type_costs_no_other_record(value: Any) -> None:
    whole = json.loads(ended(node_outcome="NODE_OUTCOME_SUCCESS", rows_affected="1"))
    other = ended(unique_id="model.p.b", node_outcome="NODE_OUTCOME_SUCCESS")
    for field in whole:
        changed = json.dumps({**whole, field: value}).encode() + b"\n"
        assert "model.p.b" in fold(PROCESS + changed + other).final
    for field in whole["attributes"]:
        attributes = {**whole["attributes"], field: value}
        changed = json.dumps({**whole, "attributes": attributes}).encode() + b"\n"
        assert "model.p.b" in fold(PROCESS + changed + other).final


def test_what_people_print_is_shown() -> None:
    stream = PROCESS + log("2.0.0rc196/full_otel")
    events = [item for item in EventReader().feed(stream) if isinstance(item, Event)]
    shown = [event.msg for event in events if event.level != "debug" and event.msg]
    assert any("hello from model" in msg for msg in shown)
    assert "    Failed [  1.27s] model main.fail_exec (table)" in shown
    assert "    Passed [  0.03s] test  assert_totals" in shown
    assert sum(msg.startswith("[error]") for msg in shown) == 15
