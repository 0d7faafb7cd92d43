"""Logs of dbt v2 (2.0.0rc196 on DuckDB) against the run_results.json of the same run."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from support.logs import Folded, artifact, fold, log

from dbt_relay.parser.v2_errors import V2Error
from dbt_relay.records.exits import Exit

ENDED = ["build_fail_debug", "build_fail_info", "build_ok_debug", "full_debug", "run_fail_debug"]
ENDED += ["seed_debug", "build_fail_otel", "full_otel"]
CANCELLED = ["sigINT_debug", "cancelled_debug", "failfast_debug"]
CANCELLED += ["cancelled_otel", "failfast_otel"]
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
ADDED = re.compile(r"^\[error\]|\(dbt\d+\)|^ +\d+: <unknown>|^  --> ", re.MULTILINE)
GENERAL = ("Error", "Compilation Error")
"""The message in the file for a node whose text is in the log."""


def key(scenario: str) -> str:
    return f"2.0.0rc196/{scenario}"


def results(scenario: str) -> dict[str, dict[str, Any]]:
    document = json.loads(artifact(key(scenario)) or b"")
    return {result["unique_id"]: result for result in document["results"]}


def folded(scenario: str, *, with_file: bool = True) -> Folded:
    name = key(scenario)
    return fold(log(name), results=artifact(name) if with_file else None, ended=Exit(code=1))


@pytest.mark.parametrize("scenario", ENDED)
@pytest.mark.parametrize("with_file", [True, False])
def test_each_node_has_one_right_record(scenario: str, with_file: bool) -> None:
    final = folded(scenario, with_file=with_file).final
    file = results(scenario)
    # The file has no failed hooks and no failed microbatch models.
    assert not [u for u in final.keys() - file.keys() if not u.startswith(("operation.", "model."))]
    for unique_id, result in file.items():
        record = final[unique_id]
        if record.status != "no-op":
            known = {result["status"], "fail" if unique_id.startswith("unit_test.") else ""}
            assert record.status in known
        outcomes = {"error": "failure", "fail": "failure", "warn": "warning", "skipped": "skipped"}
        expected = outcomes.get(record.status, "success")
        assert record.outcome == expected
        if record.status == "error" or record.outcome != "failure":
            assert record.message == COLOURS.sub("", result["message"])
        if record.relation is not None:
            assert record.relation == result["relation_name"].replace('"', "")


@pytest.mark.parametrize("scenario", ["build_fail_otel", "full_otel"])
def test_telemetry_says_what_the_file_says_before_there_is_a_file(scenario: str) -> None:
    final = folded(scenario, with_file=False).final
    for unique_id, result in results(scenario).items():
        record = final[unique_id]
        relation = result.get("relation_name")
        assert (record.relation or None) == (relation.replace('"', "") if relation else None)
        assert (record.adapter_response or {}) == result["adapter_response"]
        assert record.execution_time == pytest.approx(result["execution_time"], abs=0.25)
        if record.resource_type == "test":
            assert record.failures == result.get("failures")
        if record.outcome == "skipped":
            assert final[record.caused_by or ""].outcome == "failure"
        if record.status == "error":
            assert record.error_type in ("user", "external", "internal")


@pytest.mark.parametrize(
    ("adapter", "name"),
    [
        ("duckdb", '"a"."b"."c"'),
        ("bigquery", "`a`.`b`.`c`"),
        ("snowflake", "a.b.c"),
        ("other", '"a"."b"."c"'),
    ],
)
def test_a_relation_has_the_quotes_of_its_adapter(adapter: str, name: str) -> None:
    query = span("SpanStart", "query.QueryExecuted", {"adapter_type": adapter})
    parts = {"database": "a", "schema": "b", "identifier": "c"}
    end = span(
        "SpanEnd", "node.NodeProcessed", {**NODE, **parts, "node_outcome": "NODE_OUTCOME_SUCCESS"}
    )
    assert fold(PROCESS + query + end).final["model.p.a"].relation == name


@pytest.mark.parametrize("scenario", [*ENDED, *CANCELLED])
def test_an_error_text_is_there_once_without_class_and_backtrace(scenario: str) -> None:
    for record in folded(scenario).final.values():
        message = record.message or ""
        assert not ADDED.search(message)
        first = message.partition("\n")[0]
        assert not first or message.count(first) == 1
        if (
            record.outcome == "failure" and record.status != "fail"
        ):  # for a test the file has no other text
            assert message not in ("", *GENERAL)


@pytest.mark.parametrize("scenario", [*ENDED, *CANCELLED])
def test_a_node_is_written_once_and_a_second_time_for_a_text(scenario: str) -> None:
    writes: dict[str, int] = {}
    for record in folded(scenario).records:
        writes[record.unique_id] = writes.get(record.unique_id, 0) + 1
        assert writes[record.unique_id] == 1 or record.outcome != "success"
    assert set(writes.values()) <= {1, 2}


@pytest.mark.parametrize("scenario", ["sigINT_debug", "cancelled_debug", "cancelled_otel"])
@pytest.mark.parametrize("with_file", [True, False])
def test_a_cancelled_node_is_interrupted_although_dbt_says_success(
    scenario: str, with_file: bool
) -> None:
    final = folded(scenario, with_file=with_file).final
    cancelled = [r for r in final.values() if re.fullmatch(r"slow_(a|b|one|two)", r.name or "")]
    assert len(cancelled) == 2
    assert {r.outcome for r in cancelled} == {"interrupted"}
    assert {r.status for r in cancelled} == {"error"}
    assert all("Cancelled: SQL statement" in (r.message or "") for r in cancelled)


def test_a_cancelled_node_is_never_published_as_a_success() -> None:
    for scenario in ("sigINT_debug", "cancelled_debug", "cancelled_otel"):
        for record in folded(scenario).records:
            assert record.outcome != "success" or not re.search("slow_[abot]", record.unique_id)


def test_after_a_stop_the_file_contradicts_a_success_and_names_nodes_that_never_ran() -> None:
    final = folded("sigINT_debug").final
    assert final["model.jaffle.slow_fast"].outcome == "interrupted"
    never_ran = final["model.jaffle.slow_child"]
    assert (never_ran.outcome, never_ran.artificial) == ("interrupted", True)
    assert never_ran.message == "dbt was stopped before it ran this node"


@pytest.mark.parametrize("scenario", ["failfast_debug", "failfast_otel"])
def test_under_fail_fast_the_log_wins(scenario: str) -> None:
    """The file calls all 24 nodes an error."""
    assert {result["status"] for result in results(scenario).values()} == {"error"}
    ended = folded(scenario, with_file=False).final
    final = folded(scenario).final
    assert {u: r.outcome for u, r in ended.items()}.items() <= {
        u: r.outcome for u, r in final.items()
    }.items()
    never_ran = [r for u, r in final.items() if u not in ended]
    assert never_ran
    assert {(r.outcome, r.skip_cause) for r in never_ran} == {("skipped", "fail_fast")}


@pytest.mark.parametrize("name", [b"OperationCanceled", b"SomethingNew"])
def test_errors_under_names_of_their_own_say_the_same(name: bytes) -> None:
    scenario = "2.0.0rc196/sigINT_debug"
    renamed = log(scenario).replace(b'"name":"Generic"', b'"name":"%b"' % name)
    assert renamed != log(scenario)
    records = fold(renamed, results=artifact(scenario)).final
    assert records == fold(log(scenario), results=artifact(scenario)).final


@pytest.mark.parametrize("name", ["Generic", "DbDriverFailed", "SomethingNew"])
@pytest.mark.parametrize("status", ["success", "no-op", "pass", "reused", "warn"])
def test_an_error_text_of_a_node_never_stays_green(name: str, status: str) -> None:
    """Under any event name: versions after 2.0.0rc196 use the name of the error's code."""
    text = "[error] [DbDriverFailed (dbt1308)]: Database Error\n  boom\n   0: <unknown>\n"
    error = event(name, {"node_info": {"unique_id": "model.p.a"}}, level="error", msg=text)
    finished = event("NodeFinished", {"node_info": INFO, "run_result": {"status": status}})
    for stream in (VERSION + error + finished, VERSION + finished + error):
        record = fold(stream).final["model.p.a"]
        assert (record.status, record.outcome) == ("error", "failure")
        assert record.message == "Database Error\n  boom"


@pytest.mark.parametrize("status", ["error", "fail", "skipped", "runtime error"])
def test_a_results_file_that_contradicts_a_success_wins(status: str) -> None:
    finished = event("NodeFinished", {"node_info": INFO, "run_result": {"status": "success"}})
    file = {
        "metadata": {"invocation_id": "i-1"},
        "results": [{"unique_id": "model.p.a", "status": status, "message": "boom"}],
    }
    record = fold(VERSION + finished, results=json.dumps(file).encode()).final["model.p.a"]
    assert record.status == status
    assert record.outcome in ("failure", "skipped")
    assert record.message == "boom"


def test_a_run_that_failed_before_its_nodes_has_no_record_of_them() -> None:
    """dbt v2 lists every node of the project as an error then, of `run-operation` too."""
    error = event("Generic", {}, level="error", msg="[error] [JinjaError (dbt1501)]: no macro 'a'")
    listed = {"unique_id": "model.p.a", "status": "error", "message": "Compilation Error"}
    file = {"metadata": {"invocation_id": "i-1"}, "results": [listed]}
    folded = fold(VERSION + error, results=json.dumps(file).encode())
    assert folded.records == []
    assert folded.run.invocations[0].error == "no macro 'a'"


def test_after_a_failed_hook_the_nodes_are_skipped_because_of_it() -> None:
    """dbt v2 calls each an error in its file, and logs the hook's error without a node."""
    hook = {"unique_id": "operation.p.p-on-run-start-0", "resource_type": "operation"}
    ended = event("LogHookEndLine", {"node_info": hook, "status": "error"})
    error = event("Generic", {}, level="error", msg="[error] [A (dbt1308)]: no table")
    listed = {"unique_id": "model.p.a", "status": "error", "message": "Compilation Error"}
    file = {"metadata": {"invocation_id": "i-1"}, "results": [listed]}
    final = fold(VERSION + ended + error, results=json.dumps(file).encode()).final
    failed, skipped = final["operation.p.p-on-run-start-0"], final["model.p.a"]
    assert (failed.outcome, failed.message) == ("failure", "no table")
    assert (skipped.outcome, skipped.caused_by) == ("skipped", failed.unique_id)


@pytest.mark.parametrize(
    ("logged", "text", "code"),
    [
        ("[error] [A (dbt1)]: boom", "boom", "dbt1"),
        ("[error]: boom", "boom", None),
        ("[warning] [A (dbt1)]: boom", "boom", "dbt1"),
        ("boom", "boom", None),
        (
            "[error] [A (dbt1)]: a\nb\n  --> m.sql:1:2\n   0: x\n             at ./y\n",
            "a\nb",
            "dbt1",
        ),
        ("[error] [A (dbt1)]: a\n  --> m.sql:1:2", "a", "dbt1"),
        ("a\n   0: not the last\nb", "a\n   0: not the last\nb", None),
        ("[error] [A (dbt1)]: [error] [B (dbt2)]: b", "[error] [B (dbt2)]: b", "dbt1"),
        ("", "", None),
    ],
)
def test_a_text_without_head_location_and_backtrace(
    logged: str, text: str, code: str | None
) -> None:
    assert V2Error.parse(logged) == V2Error(text, code)


INFO = {"unique_id": "model.p.a", "node_name": "a", "resource_type": "model", "node_path": "a.sql"}


def event(name: str, data: dict[str, Any], *, level: str = "debug", msg: str = "") -> bytes:
    """The compact JSON of dbt v2."""
    info = {"name": name, "level": level, "msg": msg, "invocation_id": "i-1"}
    return json.dumps({"data": data, "info": info}, separators=(",", ":")).encode() + b"\n"


VERSION = event("MainReportVersion", {"version": "=2.0.0-preview.196"})

TRACE = "01a21986ce127de084e772bc9757ea06"
NODE = {"unique_id": "model.p.a", "name": "a", "node_type": "NODE_TYPE_MODEL", "in_selection": True}


def span(record: str, kind: str, attributes: dict[str, Any]) -> bytes:
    """A record of dbt v2's telemetry."""
    times = {"start_time_unix_nano": "1795724594000000000"}
    if record == "SpanEnd":
        times["end_time_unix_nano"] = "1795724595500000000"
    kind = f"v1.public.events.fusion.{kind}"
    value = {"record_type": record, "trace_id": TRACE, **times, "severity_text": "INFO"}
    return json.dumps({**value, "event_type": kind, "attributes": attributes}).encode() + b"\n"


PROCESS = span("SpanStart", "process.Process", {"version": "2.0.0"})
