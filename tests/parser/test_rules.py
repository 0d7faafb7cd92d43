"""The rules for each outcome, on real logs that show it."""

from __future__ import annotations

import json
import re
from typing import ClassVar

import pytest
from support.logs import BEGIN, SCENARIOS, artifact, fold, folded_log, line, log

from dbt_relay.parser import Event, EventReader, Run, read_lineage
from dbt_relay.parser.failed_ancestors import FailedAncestors
from dbt_relay.records import NodeRecord
from dbt_relay.records.exits import Exit

FAILING = ["1.8/build_fail_debug", "1.10/build_fail_debug", "1.11.16/build_fail_debug"]
FAILING += ["1.12.6/build_fail_debug"]


def node(key: str, unique_id: str) -> NodeRecord:
    return folded_log(key).final[unique_id]


@pytest.mark.parametrize("key", FAILING[1:])
def test_microbatch_has_its_batches_and_the_real_error(key: str) -> None:
    partial = node(key, "model.jaffle.mb_partial")
    assert (partial.status, partial.outcome) == ("partial success", "failure")
    assert partial.batches == {"total": 5, "error": 1, "success": 4}
    assert partial.message is not None
    assert partial.message.startswith("PARTIAL SUCCESS (4/5)\nRuntime Error")
    assert "batch boom" in partial.message
    failed = node(key, "model.jaffle.mb_allbad")
    assert failed.status == "error"
    assert "nope_mb" in (failed.message or "")
    assert failed.batches == {"total": 5, "error": 1, "skipped": 4}
    assert node(key, "model.jaffle.mb_ok").batches == {"total": 5, "success": 5}


def test_a_microbatch_model_ends_with_its_own_end_in_a_log_without_a_head() -> None:
    stream = log("1.11.16/build_fail_debug")
    head = stream.index(b'"Batch 2 of 5 START batch 2024-01-02 of main.mb_partial')
    record = fold(stream[stream.rfind(b"\n", 0, head) + 1 :]).final["model.jaffle.mb_partial"]
    assert record.status == "partial success"


@pytest.mark.parametrize("key", FAILING)
def test_a_skip_names_its_cause(key: str) -> None:
    skipped = [r for r in folded_log(key).records if r.status == "skipped"]
    assert {r.skip_cause for r in skipped} == {"upstream_failed"}
    (ephemeral,) = [r for r in skipped if r.message]
    assert ephemeral.caused_by == "model.jaffle.eph_bad"


@pytest.mark.parametrize(
    "key", ["1.7.20/example_debug", "1.7.20/example_info", "1.9.11/example_info"]
)
def test_a_single_failure_is_the_cause(key: str) -> None:
    skipped = node(key, "model.jaffle.skipped_on_purpose")
    assert skipped.caused_by == "model.jaffle.broken_on_purpose"


def test_the_manifest_tells_several_failures_apart() -> None:
    manifest = b"""{"metadata": {"invocation_id": "i-1"}, "nodes": {"sql": "\\"parent_map\\": {"},
        "parent_map": {"model.a.child": ["model.a.ok", "model.a.bad"], "model.a.ok": [],
        "model.a.grandchild": ["model.a.child"], "test.a.t": ["model.a.ok"],
        "model.a.tested": ["model.a.ok"]}, "child_map": {}}""".replace(b"\n        ", b" ")
    lineage = read_lineage(manifest)
    assert lineage is not None
    assert lineage.invocation_id == "i-1"
    failed = ["model.a.bad", "model.a.far", "test.a.t"]
    assert FailedAncestors(lineage, failed).closest("model.a.child") == "model.a.bad"
    assert FailedAncestors(lineage, failed).closest("model.a.grandchild") == "model.a.bad"
    assert FailedAncestors(lineage, failed).closest("model.a.tested") == "test.a.t"
    assert FailedAncestors(lineage, failed).closest("model.a.bad") is None
    assert read_lineage(b'{"metadata": {}}') is None


@pytest.mark.parametrize("key", [k for k in SCENARIOS if "failfast" in k])
def test_fail_fast_the_log_wins_over_the_file(key: str) -> None:
    live = folded_log(key).final
    filled = fold(log(key), results=artifact(key)).final
    assert len(filled) > len(live) > 0
    for unique_id, record in filled.items():
        if unique_id in live and live[unique_id].status != "skipped":
            assert record.status == live[unique_id].status
        elif unique_id not in live:
            assert (record.status, record.skip_cause) == ("skipped", "fail_fast")


def test_results_of_another_invocation_are_ignored() -> None:
    key = "1.11.16/sigterm_debug"
    other = artifact("1.11.16/build_fail_debug")
    assert fold(log(key), results=other).final == folded_log(key).final


@pytest.mark.parametrize("key", [k for k in SCENARIOS if "sigint" in k and "parse" not in k])
def test_a_query_that_dbt_cancelled_is_interrupted(key: str) -> None:
    final = folded_log(key).final
    slow = [r for uid, r in final.items() if re.search(r"\.(slow_|z\d)", uid)]
    assert slow
    for record in slow:
        assert (record.status, record.outcome) == ("error", "interrupted")


@pytest.mark.parametrize(
    "key", [k for k in SCENARIOS if k.endswith(("sigterm_debug", "sigkill_debug"))]
)
def test_a_killed_dbt_leaves_no_node_without_a_record(key: str) -> None:
    folded = fold(log(key), ended=Exit(code=None, signal=9))
    running = [r for r in folded.records if r.artificial]
    assert running
    for record in running:
        assert (record.status, record.outcome) == ("interrupted", "interrupted")
        assert "killed by SIGKILL" in (record.message or "")
    started = {r.unique_id for r in folded.records}
    assert all(r.status != "interrupted" or r.started_at for r in folded.records)
    assert len(started) == len(folded.records)


def test_a_result_line_without_its_node_finished_still_counts() -> None:
    """dbt died between the two events. The line proves that the node ended."""
    stream = log("1.11.16/recommended")
    cut = stream.index(b'"name": "NodeFinished"')
    final = fold(stream[: stream.rfind(b"\n", 0, cut) + 1]).final
    record = final["model.jaffle.stg_customers"]
    assert (record.status, record.artificial) == ("success", None)


@pytest.mark.parametrize("key", ["1.11.16/bad_start_hook_debug", "1.8/bad_start_hook_debug"])
def test_a_failed_hook_has_its_text(key: str) -> None:
    (hook,) = [
        r
        for r in folded_log(key).final.values()
        if r.resource_type == "operation" and r.outcome == "failure"
    ]
    assert hook.unique_id == "operation.jaffle.jaffle-on-run-start-2"
    assert "nope_start_hook does not exist" in (hook.message or "")


def test_warn_error_makes_a_warning_a_failure() -> None:
    statuses = {r.status for r in folded_log("1.11.16/test_warn_error_debug").final.values()}
    assert "warn" not in statuses
    assert "fail" in statuses


@pytest.mark.parametrize("key", [k for k in SCENARIOS if "dbtrunner" in k])
def test_dictionaries_of_the_runner_make_the_records_of_a_subprocess(key: str) -> None:
    runner = folded_log(key).final
    subprocess = folded_log("1.11.16/build_fail_debug").final
    assert runner.keys() == subprocess.keys()
    for unique_id, record in runner.items():
        other = subprocess[unique_id]
        assert (record.status, record.failures, record.batches) == (
            other.status,
            other.failures,
            other.batches,
        )


class TestV2:
    """The `json` format of dbt v2 (Fusion): lines made after its documentation."""

    INFO: ClassVar = {
        "unique_id": "model.shop.orders",
        "node_name": "orders",
        "resource_type": "model",
    }
    BEGIN = line(
        "MainReportVersion",
        {"version": "=2.0.9", "log_version": 3},
        level="info",
        thread="tokio-rt-worker",
    )

    def finished(self, status: str) -> bytes:
        info = {
            **self.INFO,
            "node_started_at": "2026-01-02T03:04:05.5Z",
            "node_finished_at": "2026-01-02T03:04:06Z",
        }
        result = {"status": status, "execution_time": 0.5}
        return line("NodeFinished", {"node_info": info, "run_result": result})

    @pytest.mark.parametrize("generic_first", [True, False])
    def test_the_error_text_is_a_generic_event(self, generic_first: bool) -> None:
        generic = line(
            "Generic",
            {"node_info": {"unique_id": "model.shop.orders"}},
            level="error",
            msg="[error] dbt1014: no such column",
        )
        events = [generic, self.finished("error")]
        stream = self.BEGIN + b"".join(events if generic_first else events[::-1])
        record = fold(stream).final["model.shop.orders"]
        assert (record.status, record.message) == ("error", "[error] dbt1014: no such column")
        assert record.started_at == "2026-01-02T03:04:05.5Z"
        assert record.dbt_version == "2.0.9"

    def test_a_reused_node_is_a_success(self) -> None:
        (record,) = fold(self.BEGIN + self.finished("reused")).records
        assert (record.status, record.outcome) == ("reused", "success")

    def test_a_start_line_without_a_place(self) -> None:
        start = line("LogStartLine", {"node_info": self.INFO}, level="info")
        (record,) = fold(self.BEGIN + start + self.finished("success")).records
        assert (record.index, record.total) == (None, None)


@pytest.mark.parametrize(
    ("scenario", "hooks"),
    [("dbt1_7_build_debug", 2), ("dbt1_7_build_info", 3), ("dbt1_8_build_debug", 3)],
)
def test_hooks_on_postgresql_have_succeeded(scenario: str, hooks: int) -> None:
    """dbt 1.7 and 1.8 write `CREATE TABLE` and `INSERT 0 1`, later versions write `success`."""
    final = folded_log(f"postgres/{scenario}").final
    ended = [(r.status, r.outcome) for r in final.values() if r.resource_type == "operation"]
    assert ended == [("success", "success")] * hooks


@pytest.mark.parametrize(
    ("event", "answer"),
    [
        ("LogModelResult", {"status": "SELECT 12"}),
        ("LogModelResult", {"status": "REFRESH MATERIALIZED VIEW"}),
        ("LogSeedResult", {"status": "success", "result_message": "INSERT 51"}),
        ("LogSnapshotResult", {"status": "success", "result_message": "INSERT 0 3"}),
    ],
)
@pytest.mark.parametrize(
    ("node_status", "outcome"),
    [("success", "success"), ("error", "failure"), ("skipped", "skipped")],
)
def test_a_result_line_with_the_databases_answer_ends_as_its_node(
    event: str, answer: dict[str, str], node_status: str, outcome: str
) -> None:
    node = {
        "unique_id": "x.p.a",
        "resource_type": "model",
        "node_name": "a",
        "node_status": node_status,
    }
    final = fold(BEGIN + line(event, {"node_info": node, "index": 1, "total": 1, **answer})).final
    record = final["x.p.a"]
    assert record.outcome == outcome
    if outcome == "success":
        assert record.message == answer.get("result_message", answer["status"])


def test_a_databases_answer_without_a_known_status_is_no_success() -> None:
    node = {"unique_id": "model.p.a", "resource_type": "model", "node_status": "exploded"}
    ended = line("LogModelResult", {"node_info": node, "status": "SELECT 12"})
    record = fold(BEGIN + ended).final["model.p.a"]
    assert (record.status, record.outcome) == ("select 12", "warning")
    assert record.is_doubtful


def test_whole_numbers_of_an_adapter_response_are_integers() -> None:
    response = {"all": [-1.0, 0.5, {"none": None}], "big": 1e300, "is": True, "rows": 12.0}
    node = {"unique_id": "model.p.a", "resource_type": "model", "node_name": "a"}
    ended = {"run_result": {"status": "success", "adapter_response": response}, "node_info": node}
    record = fold(BEGIN + line("NodeFinished", ended)).final["model.p.a"]
    whole = {"all": [-1, 0.5, {"none": None}], "big": 1e300, "is": True, "rows": 12}
    assert repr(record.adapter_response) == repr(whole)


def test_a_generic_test_of_dbt_1_7_has_its_text_without_debug_events() -> None:
    final = folded_log("postgres/dbt1_7_build_info").final
    texts = {r.name: r.message for r in final.values() if r.outcome in ("warning", "failure")}
    assert texts["too_few_ids"] == "Got 2 results, configured to fail if != 0"
    assert texts["accepted_values_seen_id__1__2"] == "Got 1 result, configured to warn if != 0"


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("OK", "success"),
        ("", "success"),
        ("create table", "success"),
        ("INSERT 0 1", "success"),
        ("SELECT 12", "success"),
        ("SCRIPT (1.2 KiB processed)", "success"),
        ("success", "success"),
        ("error", "error"),
        ("ERROR", "error"),
        ("skipped", "skipped"),
        ("SKIP", "skipped"),
        ("cancelled", "cancelled"),
    ],
)
def test_a_hook_and_a_batch_have_a_known_status_or_succeeded(word: str, status: str) -> None:
    version = line("MainReportVersion", {"version": "=1.8.8"})
    hook = {"unique_id": "operation.p.p-on-run-start-0", "resource_type": "operation"}
    ended = line("LogHookEndLine", {"node_info": hook, "status": word, "index": 1, "total": 1})
    assert fold(version + ended).final[hook["unique_id"]].status == status

    model = {"unique_id": "model.p.a", "resource_type": "model", "node_name": "a"}
    batch = {"node_info": model, "status": word, "batch_index": 1, "total_batches": 1}
    result = {"node_info": model, "run_result": {"status": "success", "message": "SUCCESS"}}
    stream = version + line("LogBatchResult", batch) + line("NodeFinished", result)
    assert fold(stream).final["model.p.a"].batches == {"total": 1, status: 1}


def test_an_ephemeral_model_counts_where_dbt_lists_it() -> None:
    """The logs at debug and info level and the results file have the same nodes."""
    for version in ("1.10", "1.11.16", "1.12.6"):
        debug = folded_log(f"{version}/build_ok_debug").final.keys()
        assert debug == folded_log(f"{version}/build_ok_info").final.keys()
        results = json.loads(artifact(f"{version}/build_ok_debug") or b"")["results"]
        assert debug == {result["unique_id"] for result in results}
    compiled = "1.11.16/compile_ok_debug"
    ephemeral = "model.jaffle.eph_order_payments"
    assert ephemeral in fold(log(compiled), results=artifact(compiled)).final


def test_an_ephemeral_model_that_fails_has_a_record() -> None:
    record = node("1.11.16/build_fail_debug", "model.jaffle.eph_bad")
    assert (record.materialized, record.outcome) == ("ephemeral", "failure")


@pytest.mark.parametrize(("version", "has_record"), [("=1.10.23", False), ("=2.0.0", True)])
def test_an_ephemeral_model_that_is_skipped_counts_in_dbt_v2_alone(
    version: str, has_record: bool
) -> None:
    info = {"unique_id": "model.p.a", "resource_type": "model", "materialized": "ephemeral"}
    result = {"status": "skipped", "message": None, "execution_time": 0.0}
    stream = line("MainReportVersion", {"version": version})
    stream += line("NodeFinished", {"node_info": info, "run_result": result})
    assert ("model.p.a" in fold(stream).final) == has_record


@pytest.mark.parametrize("kind", ["start", "end"])
def test_a_hook_that_does_not_compile_is_the_error_of_the_run(kind: str) -> None:
    """In dbt 1.7 and 1.8 it has no node. Later versions say MainEncounteredError."""
    message = f"on-run-{kind} failed, error:\n no such macro"
    stream = line("MainReportVersion", {"version": "=1.7.20"})
    stream += line("RunResultError", {"msg": message}, level="error")
    last = fold(stream).run.last
    assert last is not None
    assert last.error == message


@pytest.mark.parametrize(
    ("errors", "last"),
    [(6, "… and 1 more error of a batch"), (7, "… and 2 more errors of batches")],
)
def test_errors_of_batches_beyond_the_first_are_counted(errors: int, last: str) -> None:
    info = {"unique_id": "model.a.b", "resource_type": "model"}
    stream = line("NodeStart", {"node_info": info})
    for batch in range(errors):
        boom = {"node_info": info, "unique_id": "model.a.b", "exc": f"boom {batch}"}
        stream += line("GenericExceptionOnRun", boom, level="error")
    result = {"status": "error", "message": "ERROR", "execution_time": 1.0}
    stream += line("NodeFinished", {"node_info": info, "run_result": result})
    (record,) = fold(stream).final.values()
    assert (record.message or "").splitlines()[-1] == last


def ends_of(stream: bytes, stopped_at: str) -> dict[str, str]:
    """The outcome of each node whose dbt was told to stop at a time."""
    reader, run = EventReader(), Run()
    run.stop(stopped_at)
    for item in (*reader.feed(stream), *reader.end()):
        if isinstance(item, Event):
            run.feed(item)
    run.finish()
    return {record.unique_id: record.outcome for record in run.records()}


def test_an_error_after_the_stop_is_no_failure_of_the_node() -> None:
    stream = log("1.9.11/example_debug")
    broken, found = "model.jaffle.broken_on_purpose", "test.jaffle.fails_on_purpose"
    ended = node("1.9.11/example_debug", broken).finished_at or ""
    before = ends_of(stream, "2000-01-01T00:00:00.000Z")
    assert (before[broken], before[found]) == ("interrupted", "failure")
    assert ends_of(stream, ended)[broken] == "interrupted"
    assert ends_of(stream, "2999-01-01T00:00:00.000Z")[broken] == "failure"
