"""The guards of the Airflow sink hold for every key that the sink cosmos writes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support import airflow_faults as fake
from support.fake_airflow import FakeAirflow
from support.journals import info
from support.records import node
from support.settings import settings

from dbt_relay.cli.relay.reopening import reopen
from dbt_relay.cli.settings import Connection
from dbt_relay.records.schema import DbtTestRecord, Record, RunRecord
from dbt_relay.sinks import Delivered, Delivery, Journal, Rejected, Retry
from dbt_relay.sinks.airflow.cosmos import CosmosSink
from dbt_relay.sinks.airflow.sink import AirflowSink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    MakeSink = Callable[..., CosmosSink]

EVENT, STATUS, TESTS = (
    f"model__shop__a_{word}" for word in ("dbt_event", "status", "tests_status")
)
MODEL = node("model.shop.a", attempt=1)
RUN = RunRecord(state="running", started_at="2026-01-02T03:04:05Z", attempt=1)


def a_test(name: str, status: str, count: int = 2) -> DbtTestRecord:
    outcome = "success" if status == "pass" else "failure"
    return DbtTestRecord(
        unique_id=f"test.shop.{name}",
        status=status,
        outcome=outcome,
        attempt=1,
        tests={MODEL.unique_id: count},
    )


@pytest.fixture
def sink(server: FakeAirflow) -> Iterator[MakeSink]:
    sinks: list[CosmosSink] = []

    def make(**more: Any) -> CosmosSink:
        sinks.append(CosmosSink(settings(server, **more), lambda _: None))
        return sinks[-1]

    yield make
    for made in sinks:
        made.close()


class TestOneNode:
    def test_two_requests(self, server: FakeAirflow, sink: MakeSink) -> None:
        assert sink().send(MODEL) == Delivered()
        assert server.writes() == {EVENT: ["POST"], STATUS: ["POST"]}

    def test_lost_answers(self, server: FakeAirflow, sink: MakeSink) -> None:
        server.faults += [fake.RESET_AFTER_COMMIT, None, fake.RESET_AFTER_COMMIT]
        made = sink()
        assert isinstance(made.send(MODEL), Retry)
        assert isinstance(made.send(MODEL), Retry)
        assert made.send(MODEL) == Delivered()
        assert server.commits() == {EVENT: 1, STATUS: 1}

    def test_it_is_delivered_once_both_are_there(self, server: FakeAirflow, sink: MakeSink) -> None:
        server.faults += [None, fake.BAD_GATEWAY]
        made = sink()
        assert isinstance(made.send(MODEL), Retry)
        assert server.xcoms[-1].keys() == {EVENT}
        assert made.send(MODEL) == Delivered()
        assert server.xcoms[-1].keys() == {EVENT, STATUS}
        assert server.commits()[EVENT] == 1

    def test_an_amendment_replaces_both(self, server: FakeAirflow, sink: MakeSink) -> None:
        made = sink()
        made.send(MODEL)
        amended = replace(MODEL, status="error", outcome="failure", message="why", sequence=2)
        assert sink().send(amended) == Delivered()
        assert server.xcoms[-1][STATUS]["status"] == "error"
        assert server.xcoms[-1][EVENT]["msg"] == "why"
        assert isinstance(made.send(MODEL), Rejected)
        assert server.xcoms[-1][EVENT]["msg"] == "why", "a text is not replaced by an older none"

    def test_a_newer_attempts_values_stay(self, server: FakeAirflow, sink: MakeSink) -> None:
        assert sink().send(replace(MODEL, attempt=2)) == Delivered()
        there = dict(server.xcoms[-1])
        verdict = sink().send(replace(MODEL, status="error", outcome="failure"))
        assert isinstance(verdict, Rejected)
        assert "Airflow has a newer record of this node: attempt 2, success" in verdict.reason
        assert server.xcoms[-1] == there

    def test_a_try_that_is_over_writes_nothing(self, server: FakeAirflow, sink: MakeSink) -> None:
        server.retry()
        assert isinstance(sink().send(MODEL), Rejected)
        for count in (1, 2):
            assert isinstance(sink().send(a_test("t", "pass", count)), Rejected)
        assert server.xcoms == {-1: {}}

    def test_a_node_that_shares_a_key(self, server: FakeAirflow, sink: MakeSink) -> None:
        """Also where another process has written the first."""
        first, second = (replace(MODEL, unique_id=f"model.shop.o{v}") for v in (".v2", "__v2"))
        made = sink()
        assert made.send(first) == Delivered()
        there = dict(server.xcoms[-1])
        for of in (made, sink()):
            verdict = of.send(second)
            assert isinstance(verdict, Rejected)
            assert verdict.reason.startswith("model.shop.o__v2 and model.shop.o.v2 share the")
        assert server.xcoms[-1] == there
        assert made.send(MODEL) == Delivered()

    def test_what_another_process_has_put_under_a_shared_key(
        self, server: FakeAirflow, sink: MakeSink
    ) -> None:
        """The tests of model.shop.a have the key that model.shop.a_tests has for its status."""
        namesake = replace(MODEL, unique_id="model.shop.a_tests")
        assert sink().send(a_test("t", "pass", 1)) == Delivered()
        verdict = sink().send(namesake)
        assert isinstance(verdict, Rejected)
        assert verdict.reason.startswith("model.shop.a_tests and model.shop.a share the Cosmos key")
        assert server.xcoms[-1][TESTS] == "pass"

        server.xcoms[-1].clear()
        assert sink().send(namesake) == Delivered()
        verdict = sink().send(a_test("t", "pass", 1))
        assert isinstance(verdict, Rejected)
        assert verdict.reason.startswith("model.shop.a and model.shop.a_tests share the Cosmos key")
        assert server.xcoms[-1][TESTS]["status"] == "success"


class TestSeveralRecords:
    def test_what_writes_nothing_is_no_sign_of_life(
        self, server: FakeAirflow, sink: MakeSink
    ) -> None:
        server.read_faults.append(fake.RESET)
        made = sink()
        assert isinstance(made.send(a_test("t", "pass", 2)), Retry)
        assert made.send(a_test("t", "pass", 2)) == Delivered()
        assert server.writes() == {}

    def test_nothing_is_said_twice(self, server: FakeAirflow, sink: MakeSink) -> None:
        made = sink()
        run = replace(RUN, dbt_version="1", adapter="duckdb=1", sequence=2)
        end = replace(run, state="finished", exit_code=0, sequence=3)
        for record in (RUN, run, MODEL, a_test("t", "pass"), a_test("u", "pass"), end):
            assert made.send(record) == Delivered()
        writes = server.writes()
        assert writes.pop(RunRecord.key) == ["POST", "PATCH", "PATCH"]
        assert writes == {key: ["POST"] for key in (EVENT, STATUS, TESTS, "dbt_startup_events")}
        assert server.xcoms[-1][TESTS] == "pass"
        assert not [r for r in server.requests if r.method == "GET" and "startup" in r.path]

    def test_the_tests_of_an_older_run_do_not_replace_a_newers(
        self, server: FakeAirflow, sink: MakeSink
    ) -> None:
        """The text has no room for its age: the run's record says how old it is."""
        newer, older = sink(), sink()
        newer.send(replace(RUN, started_at="2026-01-02T03:04:06Z"))
        newer.send(a_test("t", "pass", 1))
        older.use_journal(lambda: [RUN])
        verdict = older.send(a_test("t", "fail", 1))
        assert isinstance(verdict, Rejected)
        assert "Airflow has a newer record of this run" in verdict.reason
        assert server.xcoms[-1][TESTS] == "pass"

    def test_those_of_a_newer_run_replace_an_olders(
        self, server: FakeAirflow, sink: MakeSink
    ) -> None:
        older, newer = sink(), sink()
        older.send(RUN)
        older.send(a_test("t", "pass", 1))
        newer.use_journal(lambda: [replace(RUN, started_at="2026-01-02T03:04:06Z")])
        assert newer.send(a_test("t", "fail", 1)) == Delivered()
        assert server.xcoms[-1][TESTS] == "fail"

    @pytest.mark.parametrize("name", ["cosmos", "airflow"])
    @pytest.mark.parametrize("sent", [0, 1])
    def test_a_relay_that_was_killed(
        self, server: FakeAirflow, sink: MakeSink, tmp_path: Path, sent: int, name: str
    ) -> None:
        """What it had sent, and what it had not, together make what `deliver` writes. In an older
        journal the sink is called airflow."""
        address = json.loads(json.dumps(sink().address))
        with Journal(tmp_path) as journal:
            run = journal.begin(replace(info(), sinks={name: address}))
            for record in (RUN, a_test("t", "fail"), a_test("u", "pass")):
                run.put(record, 0.0)
            for _ in range(1 + sent):
                leased = run.queue(name).lease(0.0)
                assert leased is not None
                run.queue(name).acknowledge(leased)
            run.close()
        assert server.xcoms == {-1: {}}

        with Journal(tmp_path) as journal:
            adopted = journal.adopt(run.number)
            assert adopted is not None
            environ = {"DBT_RELAY_AIRFLOW_TOKEN": "op-0"}
            opened = reopen(name, address, Connection(), environ, run=adopted)
            with Delivery(adopted, [opened]) as delivery:
                delivery.flush(5)
                (figures,) = delivery.figures()
        assert figures.is_complete
        assert server.xcoms[-1] == {TESTS: "fail"}


class TestRunThatEndsFirst:
    """At the end of a run its record is sent before some of its tests are."""

    END = replace(RUN, state="finished", exit_code=0, sequence=2)

    def test_it_is_not_green_before_all_its_tests_are(
        self, server: FakeAirflow, sink: MakeSink
    ) -> None:
        first = a_test("t", "pass")
        last = replace(a_test("u", "pass"), status="a word of dbt 3", outcome="warning")
        known: list[Record] = [RUN]
        made = sink()
        made.use_journal(lambda: known)
        assert made.send(RUN) == Delivered()
        known += [first, last, self.END]
        for record in (first, self.END):
            assert made.send(record) == Delivered()
            assert TESTS not in server.xcoms[-1]
        assert made.send(last) == Delivered()
        assert server.xcoms[-1][TESTS] == "fail"
        assert server.writes()[TESTS] == ["POST"]

    def test_a_node_with_tests_that_were_not_selected(
        self, server: FakeAirflow, sink: MakeSink
    ) -> None:
        known: list[Record] = [RUN]
        made = sink()
        made.use_journal(lambda: known)
        assert made.send(RUN) == Delivered()
        known += [a_test("t", "pass"), self.END]
        assert made.send(self.END) == Delivered()
        assert server.xcoms[-1][TESTS] == "pass"
        assert made.send(a_test("t", "pass")) == Delivered()
        assert server.writes()[TESTS] == ["POST"]


class TestBesideThePlainSink:
    def test_both_write_the_runs_record(self, server: FakeAirflow, sink: MakeSink) -> None:
        cosmos = sink()
        plain = AirflowSink(settings(server), lambda _: None)
        for record in (RUN, MODEL, replace(RUN, state="finished", exit_code=0, sequence=2)):
            assert plain.send(record) == Delivered()
            assert cosmos.send(record) == Delivered()
        plain.close()
        assert server.xcoms[-1].keys() == {RunRecord.key, MODEL.key, EVENT, STATUS}
        assert server.xcoms[-1][RunRecord.key]["state"] == "finished"
