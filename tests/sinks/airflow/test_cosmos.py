"""What the consumers of Cosmos 1.15 are given of each record; tests/real_airflow has themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.records import node

from dbt_relay.records.outcomes import Outcome
from dbt_relay.records.schema import DbtTestRecord, NodeRecord, Record, RunRecord
from dbt_relay.sinks import Rejected
from dbt_relay.sinks.airflow.cosmos_run import CosmosRun, Entry

RUN = RunRecord(state="running", started_at="2026-01-02T03:04:05Z", attempt=1)


def a_test(name: str, status: str = "pass", **of: int) -> NodeRecord:
    """A test of models, each of which has so many tests."""
    tests = {f"model.shop.{model}": count for model, count in of.items()}
    return DbtTestRecord.of(node(f"test.shop.{name}", status, resource_type="test"), tests)


def values(known: CosmosRun, record: Record) -> dict[str, Any]:
    """What is written, in its order."""
    entries = known.entries(record)
    assert all(isinstance(entry, Entry) for entry in entries), entries
    return {e.key: e.value for e in entries if isinstance(e, Entry) and e.key != RunRecord.key}


@pytest.fixture
def known() -> CosmosRun:
    made = CosmosRun(16_384)
    made.learn([RUN])
    return made


class TestNodes:
    def test_a_model(self, known: CosmosRun) -> None:
        record = node(
            "model.shop.orders",
            "error",
            message="no such column",
            started_at="2026-01-02T03:04:05.1Z",
            finished_at="2026-01-02T03:04:06Z",
            invocation_started_at="2026-01-02T03:04:00Z",
            attempt=2,
            sequence=3,
        )
        stamp = {
            "schema": "dbt-relay/node@1",
            "unique_id": "model.shop.orders",
            "status": "error",
            "outcome": "failure",
            "finished_at": "2026-01-02T03:04:06Z",
            "invocation_started_at": "2026-01-02T03:04:00Z",
            "attempt": 2,
            "sequence": 3,
        }
        found = values(known, record)
        assert found == {
            "model__shop__orders_dbt_event": {
                "status": "error",
                "start_time": "03:04:05",
                "finish_time": "03:04:06",
                "msg": "no such column",
                "dbt_relay": stamp,
            },
            "model__shop__orders_status": {
                "status": "error",
                "outlet_uris": [],
                "dbt_relay": stamp,
            },
        }
        assert list(found)[-1] == "model__shop__orders_status", "whoever sees it reads the event"

    @pytest.mark.parametrize(
        ("status", "word"),
        [
            ("success", "success"),
            ("error", "error"),
            ("partial success", "error"),
            ("no-op", "success"),
            ("reused", "success"),
            ("interrupted", "error"),
            ("cancelled", "error"),
            ("a word of dbt 3", "error"),
            ("pass", "pass"),
            ("warn", "warn"),
            ("fail", "fail"),
            ("runtime error", "runtime error"),
        ],
    )
    def test_only_words_that_cosmos_knows(self, known: CosmosRun, status: str, word: str) -> None:
        for unique_id in ("model.shop.a", "seed.shop.b", "snapshot.shop.c", "source.shop.d.e"):
            event, state = values(known, node(unique_id, status)).values()
            assert event["status"] == state["status"] == word

    def test_a_skip_after_a_failure_is_one(self, known: CosmosRun) -> None:
        skipped = node("model.shop.a", "skipped", skip_cause="upstream_failed", caused_by="model.b")
        event, state = values(known, skipped).values()
        assert event["status"] == state["status"] == "failed"
        assert event["msg"] == "skipped, because of model.b"
        event, state = values(known, replace(skipped, skip_cause="fail_fast")).values()
        assert event["status"] == state["status"] == "skipped"

    @pytest.mark.parametrize("kind", ["operation", "unit_test", "test", "macro"])
    def test_what_nobody_reads_is_not_written(self, known: CosmosRun, kind: str) -> None:
        assert values(known, node(f"{kind}.shop.a")) == {}

    def test_values_are_safe_and_bounded(self) -> None:
        known = CosmosRun(256)
        record = node("model.shop.a", "error", message="\0" + "x" * 1000 + "\ud800")
        message = values(known, record)["model__shop__a_dbt_event"]["msg"]
        assert len(message.encode()) <= 256
        assert message.startswith("\ufffdx")
        assert message.endswith("x\ufffd")


class TestTests:
    def test_told_once_all_have_ended(self, known: CosmosRun) -> None:
        assert values(known, a_test("t1", a=3)) == {}
        assert values(known, a_test("t2", "warn", a=3)) == {}
        assert values(known, a_test("t3", a=3)) == {"model__shop__a_tests_status": "pass"}

    @pytest.mark.parametrize("status", ["fail", "error", "skipped", "interrupted"])
    def test_one_that_did_not_pass(self, known: CosmosRun, status: str) -> None:
        assert values(known, a_test("t1", status, a=2)) == {}
        assert values(known, a_test("t2", a=2)) == {"model__shop__a_tests_status": "fail"}

    def test_of_several_models(self, known: CosmosRun) -> None:
        """It counts for each, and has a key of its own: Cosmos may render it detached."""
        assert values(known, a_test("t", "fail", a=1, b=2)) == {
            "model__shop__a_tests_status": "fail",
            "test__shop__t_tests_status": "fail",
        }
        assert values(known, a_test("u", b=2)) == {"model__shop__b_tests_status": "fail"}

    def test_what_another_process_has_sent_counts(self, known: CosmosRun) -> None:
        known.learn([a_test("t1", "fail", a=2)])
        assert values(known, a_test("t2", a=2)) == {"model__shop__a_tests_status": "fail"}

    def test_an_amended_test(self, known: CosmosRun) -> None:
        first = a_test("t", "pass", a=1)
        amended = replace(a_test("t", "fail", a=1), sequence=2)
        assert values(known, first) == {"model__shop__a_tests_status": "pass"}
        assert values(known, amended) == {"model__shop__a_tests_status": "fail"}
        assert values(known, first) == {"model__shop__a_tests_status": "fail"}, "it is older"

    def test_without_a_manifest_there_is_nothing_to_tell(self, known: CosmosRun) -> None:
        assert values(known, node("test.shop.t", "fail")) == {}
        assert values(known, replace(RUN, state="finished", exit_code=1)) == {}

    @pytest.mark.parametrize(
        ("end", "told"),
        [
            ({"state": "finished", "exit_code": 0}, {"a": "pass"}),
            ({"state": "finished"}, {"a": "pass"}),  # of a saved log
            ({"state": "finished", "exit_code": 1}, {}),
            ({"state": "finished", "failed": ["model.shop.c"]}, {}),
            ({"state": "died", "exit_code": 137}, {}),
        ],
    )
    def test_those_that_were_not_selected(
        self, known: CosmosRun, end: dict[str, Any], told: dict[str, str]
    ) -> None:
        """Of a run that failed, an absent test may be one that it never got to."""
        known.learn([a_test("t", a=2)])
        known.learn([a_test("u", b=1)])  # told when it ended
        expected = {f"model__shop__{name}_tests_status": value for name, value in told.items()}
        assert values(known, replace(RUN, sequence=2, **end)) == expected

    def test_a_failure_is_told_however_the_run_ended(self, known: CosmosRun) -> None:
        known.learn([a_test("t", "fail", a=2)])
        assert values(known, RUN) == {}
        died = replace(RUN, state="died", sequence=2)
        assert values(known, died) == {"model__shop__a_tests_status": "fail"}


class TestRun:
    def test_startup_events(self, known: CosmosRun) -> None:
        assert values(known, RUN) == {}
        run = replace(RUN, dbt_version="1.11.16", adapter="duckdb=1.11.1")
        ts = "2026-01-02T03:04:05Z"
        assert values(known, run) == {
            "dbt_startup_events": [
                {"name": "MainReportVersion", "msg": "Running with dbt=1.11.16", "ts": ts},
                {"name": "AdapterRegistered", "msg": "Registered adapter: duckdb=1.11.1", "ts": ts},
            ]
        }

    def test_our_own_record_comes_last(self, known: CosmosRun) -> None:
        known.learn([a_test("t", a=2)])
        run = replace(RUN, state="finished", dbt_version="1", adapter="b=1")
        *_, last = known.entries(run)
        assert last == Entry("dbt_relay_run", run.to_json(), run, is_stamped=True)


class TestCollisions:
    def refused(self, known: CosmosRun, record: Record) -> list[str]:
        return [e.reason for e in known.entries(record) if isinstance(e, Rejected)]

    def test_the_second_is_refused_and_both_are_named(self, known: CosmosRun) -> None:
        first, second = node("model.shop.orders.v2"), node("model.shop.orders__v2")
        assert len(values(known, first)) == 2
        assert [e for e in known.entries(second) if isinstance(e, Entry)] == []
        assert self.refused(known, second)[-1] == (
            "model.shop.orders__v2 and model.shop.orders.v2 share the Cosmos key "
            "model__shop__orders__v2_status. The key holds the result of model.shop.orders.v2: "
            "rename one of them, or use --sink airflow"
        )
        assert len(values(known, replace(first, sequence=2))) == 2

    def test_it_does_not_matter_which_is_sent_first(self, known: CosmosRun) -> None:
        first, second = node("model.shop.orders.v2"), node("model.shop.orders__v2")
        known.learn([first])
        assert self.refused(known, second)
        assert len(values(known, first)) == 2

    def test_of_tests(self, known: CosmosRun) -> None:
        values(known, a_test("t", **{"orders.v2": 1}))
        (reason,) = self.refused(known, a_test("u", orders__v2=1))
        assert "model.shop.orders__v2 and model.shop.orders.v2" in reason

    def test_of_a_model_and_the_tests_of_another(self, known: CosmosRun) -> None:
        values(known, a_test("t", a=1))
        (reason,) = self.refused(known, node("model.shop.a_tests"))
        assert "model.shop.a_tests and model.shop.a share the Cosmos key" in reason

    def test_a_key_that_cannot_be_pulled(self, known: CosmosRun) -> None:
        for unique_id in ("model.shop.é", "model.shop.a b", "model.shop." + "x" * 512):
            reasons = self.refused(known, node(unique_id))
            assert len(reasons) == 2
            assert "no consumer of Cosmos can pull the key" in reasons[0]
            assert unique_id in reasons[0]


def test_every_outcome_has_a_word(known: CosmosRun) -> None:
    outcomes: tuple[Outcome, ...] = ("success", "warning", "failure", "skipped", "interrupted")
    words = {"success", "pass", "warn", "failed", "fail", "error", "runtime error", "skipped"}
    for outcome in outcomes:
        record = NodeRecord(unique_id="model.shop.a", status="new", outcome=outcome)
        assert values(known, record)["model__shop__a_status"]["status"] in words
