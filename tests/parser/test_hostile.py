"""Streams that break naive parsers: each comes from a real log, or imitates one."""

from __future__ import annotations

import json

import pytest
from support.logs import Folded, fold, folded_log, line

from dbt_relay.parser import Secrets

NODE = {
    "unique_id": "model.shop.orders",
    "node_name": "orders",
    "node_path": "orders.sql",
    "resource_type": "model",
    "materialized": "table",
    "node_status": "success",
    "node_started_at": "2026-01-02T03:04:05.000001",
    "node_finished_at": "2026-01-02T03:04:06",
    "node_relation": {"relation_name": '"db"."main"."orders"'},
}
RESULT = {
    "status": "success",
    "message": "OK",
    "execution_time": 0.5,
    "num_failures": 0,
    "thread": "Thread-1 (worker)",
    "adapter_response": {"_message": "OK"},
    "timing_info": [],
}
BEGIN = line("MainReportVersion", {"version": "=1.11.16", "log_version": 3}, level="info")
START = line("NodeStart", {"node_info": {**NODE, "node_finished_at": ""}})


def ended(**result: object) -> bytes:
    return line("NodeFinished", {"node_info": NODE, "run_result": {**RESULT, **result}})


def only(folded: Folded) -> dict[str, object]:
    (record,) = folded.records
    return record.to_json()


def test_the_record_of_one_node() -> None:
    assert only(fold(BEGIN + START + ended())) == {
        "schema": "dbt-relay/node@1",
        "unique_id": "model.shop.orders",
        "resource_type": "model",
        "name": "orders",
        "status": "success",
        "outcome": "success",
        "message": "OK",
        "started_at": "2026-01-02T03:04:05.000001Z",
        "finished_at": "2026-01-02T03:04:06Z",
        "execution_time": 0.5,
        "relation": '"db"."main"."orders"',
        "path": "orders.sql",
        "materialized": "table",
        "adapter_response": {"_message": "OK"},
        "thread": "Thread-1 (worker)",
        "invocation_id": "i-1",
        "invocation_started_at": "2026-01-02T03:04:05.000006Z",
        "dbt_version": "1.11.16",
        "sequence": 1,
    }


@pytest.mark.parametrize(
    "printed", [b"progress 40% ... ", b"\r 10%\r 20%", b"\xff\xfe", b"{ not json "]
)
def test_an_event_glued_to_a_print_without_newline_is_recovered(printed: bytes) -> None:
    folded = fold(BEGIN + START + printed + ended())
    assert only(folded)["status"] == "success"
    assert b"".join(folded.texts).strip() != b""


def test_two_glued_events_are_both_read() -> None:
    other = ended().replace(b"model.shop.orders", b"model.shop.payments")
    folded = fold(BEGIN + ended()[:-1] + other)
    assert sorted(folded.final) == ["model.shop.orders", "model.shop.payments"]
    chatter = line("SQLQuery", {"sql": "select 1"})
    assert only(fold(BEGIN + ended()[:-1] + chatter))["status"] == "success"


def test_text_behind_an_event_is_shown() -> None:
    folded = fold(BEGIN + ended()[:-1] + b"done!\n")
    assert folded.texts == [b"done!\n"]
    assert only(folded)["status"] == "success"


@pytest.mark.parametrize("text", [b"[1,2,3]", b"null", b'"s"', b"123", b'{"just": "json"}', b"{}"])
def test_printed_json_that_is_no_event_is_text(text: bytes) -> None:
    folded = fold(BEGIN + text + b"\n" + ended())
    assert folded.texts == [text + b"\n"]
    assert len(folded.records) == 1


@pytest.mark.parametrize(
    "broken",
    [
        {"data": None, "info": None},
        {"data": None, "info": {"name": "NodeFinished", "invocation_id": "i-1"}},
        {"data": {"node_info": None}, "info": {"name": "NodeFinished", "invocation_id": "i-1"}},
        {"data": {"node_info": []}, "info": {"name": "NodeFinished", "invocation_id": "i-1"}},
        {
            "data": {"node_info": {"unique_id": 7}},
            "info": {"name": "NodeFinished", "invocation_id": 3},
        },
        {
            "data": {"node_info": {"unique_id": "a"}, "run_result": 5},
            "info": {"name": "NodeFinished", "invocation_id": "i-1"},
        },
        {
            "data": {"node_info": {"unique_id": "a"}, "run_result": {"status": None}},
            "info": {"name": "NodeFinished", "invocation_id": "i-1"},
        },
        {"data": {"conn_name": 5}, "info": {"name": "LogCancelLine", "invocation_id": "i-1"}},
    ],
)
def test_events_of_no_known_shape_are_no_exception(broken: object) -> None:
    assert len(fold(BEGIN + json.dumps(broken).encode() + b"\n" + ended()).records) == 1


def test_a_forged_event_of_another_invocation_is_refused_and_shown() -> None:
    forged = line(
        "NodeFinished",
        {"node_info": {"unique_id": "model.shop.orders"}, "run_result": {"status": "error"}},
        invocation_id="forged",
    )
    folded = fold(BEGIN + START + forged + ended())
    assert only(folded)["status"] == "success"
    assert (folded.run.refused, folded.texts) == (1, [forged])


def test_the_noisy_log() -> None:
    """A Python model that prints progress bars, bad UTF-8, JSON, and a forged NodeFinished."""
    folded = folded_log("1.11.16/x_noisy_info")
    assert {uid: r.status for uid, r in folded.final.items() if uid.startswith("model.")} == {
        "model.jaffle.noisy": "success"
    }
    assert folded.run.refused == 1
    assert any(b"\xff" in text for text in folded.texts)


def test_a_huge_line_is_one_event() -> None:
    message = "x" * 20_000_000
    stream = BEGIN + START + ended(status="error", message=message)
    chunks = [stream[i : i + 65536] for i in range(0, len(stream), 65536)]
    assert only(fold(chunks))["message"] == message


def test_half_a_line_at_the_end_is_counted_and_not_shown() -> None:
    folded = fold(BEGIN + START + ended()[:200])
    assert folded.texts == []
    assert folded.reader.malformed == 1
    assert only(folded)["status"] == "interrupted"


@pytest.mark.parametrize("value", [float("nan"), "\ud800", "\x00"])
def test_json_that_only_the_standard_library_reads(value: object) -> None:
    event = line("NodeFinished", {"node_info": NODE, "run_result": {**RESULT, "extra": value}})
    assert only(fold(BEGIN + event))["status"] == "success"


def test_text_that_looks_like_a_terminal_event_inside_a_message() -> None:
    message = 'see {"info": {"name": "NodeFinished"}} "node_status": "success"\u2028\n}}{"data": {'
    record = only(fold(BEGIN + START + ended(status="error", message=message)))
    assert (record["status"], record["message"]) == ("error", message)


def test_the_literal_none_after_the_end_changes_nothing() -> None:
    late = {**NODE, "node_status": "None", "node_started_at": "", "node_finished_at": ""}
    tail = line("RunResultError", {"msg": "boom", "node_info": late}, level="error")
    folded = fold(BEGIN + START + ended(status="error", message="boom") + tail + tail)
    record = only(folded)
    assert (record["status"], record["finished_at"]) == ("error", "2026-01-02T03:04:06Z")


def test_a_late_error_text_amends_once() -> None:
    result = line(
        "LogModelResult",
        {"node_info": {**NODE, "node_status": "error"}, "status": "error", "index": 1, "total": 2},
        level="error",
    )
    tail = line("RunResultError", {"msg": "boom", "node_info": NODE}, level="error")
    folded = fold(BEGIN + result + tail + tail)
    assert [(r.sequence, r.message) for r in folded.records] == [(1, None), (2, "boom")]


def test_an_unknown_status_word_keeps_its_spelling() -> None:
    record = only(fold(BEGIN + START + ended(status="Quarantined")))
    assert (record["status"], record["outcome"]) == ("Quarantined", "warning")


def test_two_invocations_in_one_stream() -> None:
    """`dbt seed && dbt run` in a script, or an appended dbt.log."""
    second = (BEGIN + START + ended(status="error", message="boom")).replace(b'"i-1"', b'"i-2"')
    folded = fold(BEGIN + START + ended() + second)
    assert [(r.invocation_id, r.status) for r in folded.records] == [
        ("i-1", "success"),
        ("i-2", "error"),
    ]
    assert [r.invocation_id for r in folded.run.failed()] == ["i-2"]


class TestSecrets:
    """dbt masks DBT_ENV_SECRET_* in the finished JSON text."""

    @staticmethod
    def masked(stream: bytes, secret: str) -> bytes:
        return stream.replace(secret.encode(), b"*****")

    @pytest.mark.parametrize("secret", ['"', "true", "node", "name", "info", "success", ":"])
    def test_a_short_secret_does_not_destroy_the_log(self, secret: str) -> None:
        stream = BEGIN + START + ended(done=True)
        record = only(fold(self.masked(stream, secret), secrets=Secrets([secret])))
        assert (record["unique_id"], record["status"]) == ("model.shop.orders", "success")

    def test_without_the_secret_the_pieces_are_counted(self) -> None:
        folded = fold(self.masked(BEGIN + START + ended(), '"'))
        assert (folded.records, folded.texts) == ([], [])
        assert folded.reader.malformed == 3

    @pytest.mark.parametrize("secret", ['pa"ss', "back\\slash", "geh\u00e4\u00dfig", "li\nne"])
    def test_a_secret_that_json_escapes_is_masked_after_decoding(self, secret: str) -> None:
        stream = BEGIN + START + ended(status="error", message=f"no: {secret}!")
        assert only(fold(stream))["message"] == f"no: {secret}!"
        assert only(fold(stream, secrets=Secrets([secret])))["message"] == "no: *****!"

    def test_several_secrets_and_a_name_that_holds_one(self) -> None:
        stream = BEGIN + START + ended(status="error", message='orders-key and pa"ss')
        record = only(fold(stream, secrets=Secrets(["orders", 'pa"ss', " "])))
        assert record["message"] == "*****-key and *****"
        assert record["unique_id"] == "model.shop.orders"
