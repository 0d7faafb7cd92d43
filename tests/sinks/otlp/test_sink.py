"""The sink for OpenTelemetry: its spans, when it sends them, and what becomes of refusals."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.collectors import Collected, attributes_of, collecting
from support.environment import forget_settings
from support.records import node

from dbt_relay.records.schema import NodeRecord, RunRecord
from dbt_relay.sinks import Delivered, Hold, Rejected, Retry
from dbt_relay.sinks.otlp.sink import OtlpSink
from dbt_relay.sinks.otlp.trace_ids import SpanId, node_of, root_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    from dbt_relay.records.schema import Record

INVOCATION = "01890000-0000-7000-8000-000000000001"
TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
STARTED = "2026-01-02T03:04:05.000006Z"
STARTED_NS = 1767323045_000006_000
UNSET, ERROR = 0, 2


def ran(unique_id: str, status: str = "success", **more: Any) -> NodeRecord:
    known: dict[str, Any] = {
        "resource_type": unique_id.partition(".")[0],
        "name": unique_id.split(".")[2],
        "started_at": "2026-01-02T03:04:06Z",
        "finished_at": "2026-01-02T03:04:07.123456Z",
        "invocation_id": INVOCATION,
        "dbt_version": "1.11.16",
    }
    return node(unique_id, status, **{**known, **more})


def run_record(state: Any = "finished", **more: Any) -> RunRecord:
    known = {"started_at": STARTED, "invocation_id": INVOCATION, "adapter": "postgres=1.11.0"}
    if state != "running":
        known["finished_at"] = "2026-01-02T03:05:05Z"
    return RunRecord(state=state, **{**known, **more})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collected]:
    forget_settings(monkeypatch)
    with collecting() as collected:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collected.url)
        yield collected


def opened(traceparent: str | None = None) -> OtlpSink:
    sink = OtlpSink(traceparent, "dbt build")
    sink.use_run(STARTED, None)
    return sink


def sent(server: Collected, *records: Record, traceparent: str | None = None) -> dict[str, Span]:
    """The spans by name."""
    sink = opened(traceparent)
    for record in records:
        assert sink.send(record) == Delivered()
    sink.close()
    return {span.name: span for span in server.spans}


def test_a_run_is_a_span_with_a_span_for_each_node(server: Collected) -> None:
    records = [
        run_record("running", invocation_id=None, adapter=None),
        run_record("running"),
        ran("model.shop.orders"),
        ran("test.shop.unique_id", "fail", message="Got 2 results", failures=2),
        ran("model.shop.late", "skipped", started_at=None, finished_at=None),
        run_record(exit_code=1, nodes={"success": 1, "failure": 1}, command="dbt build"),
        run_record(exit_code=1, sequence=2, delivery={}),
    ]
    found = sent(server, *records)
    assert [span.name for span in server.spans] == [
        "model orders",
        "test unique_id",
        "dbt build",
    ]
    run, model, test = found["dbt build"], found["model orders"], found["test unique_id"]
    assert {span.trace_id.hex() for span in server.spans} == {INVOCATION.replace("-", "")}
    assert run.parent_span_id == b""
    assert model.parent_span_id == test.parent_span_id == run.span_id
    assert len({span.span_id for span in server.spans}) == 3
    assert (run.start_time_unix_nano, run.end_time_unix_nano) == (
        STARTED_NS,
        STARTED_NS // 10**9 * 10**9 + 60 * 10**9,
    )
    assert model.end_time_unix_nano - model.start_time_unix_nano == 1_123_456_000
    assert (model.status.code, test.status.code, run.status.code) == (UNSET, ERROR, ERROR)
    assert (test.status.message, run.status.message) == (
        "Got 2 results",
        "dbt ended with exit code 1",
    )
    about = attributes_of(run)
    assert (about["process.exit.code"], about["dbt.run.nodes.failure"]) == (1, 1)
    assert (about["error.type"], about["process.command_line"]) == ("1", "dbt build")


def test_what_a_node_says(server: Collected) -> None:
    model = ran(
        "model.shop.orders",
        relation='"shop"."main"."orders"',
        path="marts/orders.sql",
        thread="Thread-1",
        materialized="table",
        attempt=2,
        adapter_response={"rows_affected": 7, "query_id": "q1", "bytes_processed": 0},
    )
    failed = ran("test.shop.a", "error", failures=None)
    found = sent(server, run_record("running"), model, failed)
    assert attributes_of(found["model orders"]) == {
        "dbt.node.unique_id": "model.shop.orders",
        "dbt.node.resource_type": "model",
        "dbt.node.name": "orders",
        "dbt.node.status": "success",
        "dbt.node.outcome": "success",
        "dbt.node.materialized": "table",
        "dbt.node.rows_affected": 7,
        "dbt.node.bytes_processed": 0,
        "dbt.node.query_id": "q1",
        "dbt.invocation_id": INVOCATION,
        "dbt.version": "1.11.16",
        "dbt.attempt": 2,
        "code.file.path": "marts/orders.sql",
        "thread.name": "Thread-1",
        "db.system.name": "postgresql",
        "db.namespace": "shop|main",
        "db.collection.name": "orders",
    }
    about = attributes_of(found["test a"])
    assert (about["error.type"], about["test.case.result.status"]) == ("error", "fail")
    assert about["test.case.name"] == "a"


def test_the_caller_is_the_parent_of_the_run(server: Collected) -> None:
    found = sent(server, ran("model.shop.orders"), run_record(), traceparent=TRACEPARENT)
    assert {span.trace_id.hex() for span in server.spans} == {TRACE}
    assert found["dbt build"].parent_span_id.hex() == "b7ad6b7169203331"
    assert found["model orders"].parent_span_id == found["dbt build"].span_id


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "nonsense",
        f"ff-{TRACE}-b7ad6b7169203331-01",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-b7ad6b7169203331-01",
    ],
)
def test_a_header_that_names_no_span_is_as_good_as_none(header: str | None) -> None:
    assert SpanId.of_traceparent(header) is None
    assert SpanId.of_traceparent(f" {TRACEPARENT.upper()}\n") == SpanId(
        int(TRACE, 16), 0xB7AD6B7169203331
    )


def test_ids_are_the_same_each_time() -> None:
    root = root_of(INVOCATION, STARTED, None)
    assert root == root_of(INVOCATION, "later", None)
    assert root.trace == int(INVOCATION.replace("-", ""), 16)
    assert f"{node_of(root, INVOCATION, 'model.a.b').span:016x}" == "e026574e8acd58b5"
    assert root_of(None, STARTED, None) == root_of(None, STARTED, None)
    assert root_of(None, STARTED, None) != root_of(None, "later", None)
    assert root_of("not-a-uuid", STARTED, None).trace < 2**128


def test_a_second_delivery_sends_the_same_spans(server: Collected) -> None:
    records = [run_record("running"), ran("model.shop.orders"), run_record(exit_code=0)]
    sent(server, *records)
    first = [span.SerializeToString() for span in server.spans]
    server.spans.clear()
    sent(server, *records)
    assert [span.SerializeToString() for span in server.spans] == first


def test_an_amended_record_is_the_same_span_with_its_text(server: Collected) -> None:
    bare = ran("model.shop.orders", "error")
    sent(server, bare, replace(bare, sequence=2, message="Database Error"))
    first, second = server.spans
    assert (first.span_id, first.status.message) == (second.span_id, "error")
    assert second.status.message == "Database Error"


def test_a_node_that_was_interrupted_has_failed(server: Collected) -> None:
    found = sent(server, ran("model.shop.orders", "interrupted", message="killed by SIGKILL"))
    assert found["model orders"].status.code == ERROR
    assert attributes_of(found["model orders"])["error.type"] == "interrupted"


def test_each_invocation_of_a_script_has_a_span(server: Collected) -> None:
    first = "01890000-0000-7000-8000-0000000000cc"
    sent(server, ran("seed.shop.a", "error", invocation_id=first), run_record(exit_code=0))
    spans = {s.trace_id.hex(): s for s in server.spans if s.name == "dbt build"}
    assert spans[first.replace("-", "")].status.code == ERROR
    assert spans[INVOCATION.replace("-", "")].status.code == UNSET


def test_opentelemetrys_variables_count(server: Collected, monkeypatch: pytest.MonkeyPatch) -> None:
    sent(server, ran("model.shop.a"))
    assert server.resources[-1]["service.name"] == "dbt"
    monkeypatch.setenv("OTEL_SERVICE_NAME", "nightly")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=prod")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20k")
    sent(server, ran("model.shop.a"))
    assert server.resources[-1]["service.name"] == "nightly"
    assert server.resources[-1]["deployment.environment.name"] == "prod"
    assert server.sent[-1]["authorization"] == "Bearer k"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, Rejected), (413, Rejected), (401, Hold), (404, Hold), (500, Retry)],
)
def test_what_an_answer_means(server: Collected, status: int, kind: type) -> None:
    server.answers.append(status)
    verdict = opened().send(ran("model.shop.orders"))
    assert isinstance(verdict, kind)
    assert f"answered {status}" in verdict.reason


def test_a_collector_that_is_busy_says_when(
    server: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    server.answers.extend([503] * 9)
    server.headers = {"Retry-After": "30"}
    verdict = opened().send(ran("model.shop.orders"))
    assert verdict == Retry(f"{server.url}/v1/traces answered 503", 30.0)
    assert len(server.sent) == 1


def test_a_collector_may_refuse_a_span_in_a_good_answer(server: Collected) -> None:
    server.refuses = "too old"
    verdict = opened().send(ran("model.shop.orders"))
    assert verdict == Rejected("the collector refused the span: too old")


def test_a_collector_that_is_gone_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_settings(monkeypatch)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    verdict = opened().send(ran("model.shop.orders"))
    assert verdict == Retry("the OTLP collector cannot be reached")


def test_settings_that_cannot_work_wait_for_a_person(
    server: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER", "pigeon")
    verdict = opened().send(ran("model.shop.orders"))
    assert isinstance(verdict, Hold)
    assert "does not start" in verdict.reason
