"""A late record never overwrites a newer attempt's, and what that costs in requests."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support import airflow_faults as fake
from support.fake_airflow import FakeAirflow
from support.records import node
from support.settings import settings

from dbt_relay.records.schema import Record, RunRecord
from dbt_relay.sinks import Delivered, Hold, Rejected, Retry
from dbt_relay.sinks.airflow import Login
from dbt_relay.sinks.airflow.api.current_attempt import BELIEVED_FOR, CurrentAttempt
from dbt_relay.sinks.airflow.api.session import Session
from dbt_relay.sinks.airflow.reading import read_records
from dbt_relay.sinks.airflow.sink import AirflowSink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .conftest import Relay

    MakeRelay = Callable[..., Relay]

KEY = "model.shop.a"
TRY = "/api/v2/dags/shop/dagRuns/run%2B1/taskInstances/dbt"
FIRST = node(KEY, attempt=1, message="select 1")
SECOND = replace(FIRST, attempt=2)


@pytest.fixture
def sink(server: FakeAirflow) -> Iterator[Callable[..., AirflowSink]]:
    sinks: list[AirflowSink] = []

    def make(**more: Any) -> AirflowSink:
        sinks.append(AirflowSink(settings(server, **more), lambda _: None))
        return sinks[-1]

    yield make
    for made in sinks:
        made.close()


def reads(server: FakeAirflow, path: str = "") -> list[str]:
    asked = [r.path for r in server.requests if r.method == "GET" and "/dags/" in r.path]
    return [p for p in asked if p == path or not path]


class TestWhatIsThere:
    def test_a_newer_attempts_record_stays(self, server: FakeAirflow, sink: Any) -> None:
        there = replace(SECOND, status="error", finished_at="2026-01-02T03:04:05Z").to_json()
        server.xcoms[-1][KEY] = there
        verdict = sink().send(FIRST)
        assert isinstance(verdict, Rejected)
        assert verdict.reason == (
            "Airflow has a newer record of this node: attempt 2, error, 2026-01-02T03:04:05Z; "
            "`dbt-relay deliver --force` replaces it"
        )
        assert server.xcoms[-1] == {KEY: there}
        assert server.writes() == {KEY: ["POST"]}

    def test_a_later_runs_record_stays(self, server: FakeAirflow, sink: Any) -> None:
        mine = RunRecord(state="finished", started_at="2026-01-01T00:00:00Z")
        theirs = RunRecord(state="running", started_at="2026-01-01T00:00:00.5Z").to_json()
        server.xcoms[-1][mine.key] = theirs
        verdict = sink().send(mine)
        assert isinstance(verdict, Rejected)
        assert "of this run: running, 2026-01-01T00:00:00.5Z" in verdict.reason
        assert server.xcoms[-1] == {mine.key: theirs}

    def test_an_older_attempts_record_is_replaced(self, server: FakeAirflow, sink: Any) -> None:
        server.try_number = 2
        server.xcoms[-1][KEY] = FIRST.to_json()
        assert sink().send(SECOND) == Delivered()
        assert server.xcoms[-1] == {KEY: SECOND.to_json()}
        assert server.writes() == {KEY: ["POST", "PATCH"]}

    def test_the_same_record_is_not_written_again(self, server: FakeAirflow, sink: Any) -> None:
        server.xcoms[-1][KEY] = FIRST.to_json()
        made = sink()
        assert made.send(FIRST) == Delivered()
        assert server.writes() == {KEY: ["POST"]}
        assert made.send(FIRST) == Delivered()
        assert server.writes() == {KEY: ["POST"]}, "known to be there: looked at, not written"
        assert made.writer.writes == 1

    @pytest.mark.parametrize("times", [1, 2])
    def test_a_value_that_is_kept_as_json_text(
        self, server: FakeAirflow, sink: Any, times: int
    ) -> None:
        def text(record: Record) -> Any:
            value: Any = record.to_json()
            for _ in range(times):
                value = json.dumps(value)
            return value

        server.xcoms[-1][KEY] = text(SECOND)
        assert isinstance(sink().send(FIRST), Rejected)
        server.xcoms[-1][KEY] = text(FIRST)
        assert sink().send(FIRST) == Delivered()
        assert server.xcoms[-1] == {KEY: text(FIRST)}

    @pytest.mark.parametrize(
        "value", [None, 7, "a text", "[" * 9000, ["x"], {"schema": "dbt-relay/node@1"}, {"a": 1}]
    )
    def test_somebody_elses_value_is_replaced(
        self, server: FakeAirflow, sink: Any, value: Any
    ) -> None:
        server.xcoms[-1][KEY] = value
        assert sink().send(FIRST) == Delivered()
        assert server.xcoms[-1] == {KEY: FIRST.to_json()}

    def test_a_value_too_large_to_be_ours_is_replaced(self, server: FakeAirflow, sink: Any) -> None:
        server.xcoms[-1][KEY] = "x" * (5 * 1024 * 1024)
        assert sink(read_timeout=5, answer_timeout=5).send(FIRST) == Delivered()
        assert server.xcoms[-1] == {KEY: FIRST.to_json()}

    def test_an_amendment_looks_before_it_writes(self, server: FakeAirflow, sink: Any) -> None:
        made = sink(xcom_task_id="results")
        assert made.send(FIRST) == Delivered()
        server.tasks["results"][-1][KEY] = SECOND.to_json()
        assert isinstance(made.send(replace(FIRST, sequence=2)), Rejected)
        assert server.tasks["results"][-1] == {KEY: SECOND.to_json()}
        assert server.writes() == {KEY: ["POST"]}

    @pytest.mark.parametrize(
        ("fault", "kind", "words"),
        [
            (fake.FORBIDDEN, Hold, "forbids reading XComs"),
            (fake.LOGIN_PAGE, Hold, "DBT_RELAY_AIRFLOW_URL"),
            (fake.REDIRECT, Hold, "redirected"),
            (fake.REFUSED, Hold, "DBT_RELAY_AIRFLOW_URL"),
            (fake.DATABASE_LOCK, Retry, "500 Database error"),
            (fake.BAD_GATEWAY, Retry, "502"),
            (fake.TOO_MANY, Retry, "slow down"),
            (fake.RESET, Retry, "broke off"),
            (fake.STALL, Retry, "did not answer"),
            (fake.TRUNCATED_READ, Retry, "broke off in the middle"),
            (fake.INVALID_TOKEN, Hold, "does not accept the token"),
        ],
    )
    def test_a_look_that_fails_is_never_ignored(
        self, server: FakeAirflow, sink: Any, fault: fake.Fault, kind: type, words: str
    ) -> None:
        server.xcoms[-1][KEY] = SECOND.to_json()
        server.read_faults.extend([None, fault])
        verdict = sink().send(FIRST)
        assert isinstance(verdict, kind)
        assert words in verdict.reason
        assert server.writes() == {KEY: ["POST"]}
        assert server.xcoms[-1] == {KEY: SECOND.to_json()}

    def test_a_look_renews_the_token(self, server: FakeAirflow, sink: Any, tmp_path: Any) -> None:
        file = tmp_path / "token"
        file.write_text("op-0")
        made = sink(login=Login(token_file=file))
        assert made.send(FIRST) == Delivered()
        server.expire_tokens()
        server.valid["op-1"] = "op"
        file.write_text("op-1")
        assert made.send(replace(FIRST, sequence=2)) == Delivered()
        assert server.xcoms[-1][KEY]["sequence"] == 2
        assert [r.status for r in server.requests].count(401) == 1


class TestWhichTryItIs:
    def test_a_try_that_is_over_writes_nothing(self, server: FakeAirflow, sink: Any) -> None:
        made = sink()
        assert made.send(FIRST) == Delivered()
        server.retry()
        made.writer.current_attempt.ask_again()
        verdict = made.send(replace(FIRST, unique_id="model.shop.b"))
        assert isinstance(verdict, Rejected)
        assert verdict.reason == (
            "attempt 1 is over: Airflow is at try 2 of task 'dbt'; "
            "`dbt-relay deliver --force` still writes it"
        )
        assert isinstance(made.send(replace(FIRST, sequence=2)), Rejected)
        assert server.xcoms == {-1: {}}
        assert sink().send(SECOND) == Delivered()

    def test_a_user_who_may_not_read_tries_hears_what_that_means(self, server: FakeAirflow) -> None:
        heard: list[str] = []
        sink = AirflowSink(settings(server), heard.append)
        server.read_faults.extend([fake.FORBIDDEN] * 2)
        assert sink.send(FIRST) == Delivered()
        assert sink.send(replace(FIRST, unique_id="model.shop.b")) == Delivered()
        sink.close()
        (warning,) = heard
        assert warning == (
            f"Airflow does not tell the try of task 'dbt' (Airflow at {server.url} answered 403 "
            "Forbidden), so a record of an earlier try can replace a newer one: let the user read "
            "task instances, as `dbt-relay doctor` checks"
        )

    def test_a_try_that_airflow_does_not_know_of_yet(self, server: FakeAirflow, sink: Any) -> None:
        assert sink().send(SECOND) == Delivered()

    def test_it_is_asked_for_the_task_that_runs_dbt(self, server: FakeAirflow, sink: Any) -> None:
        made = sink(xcom_task_id="results")
        assert made.send(FIRST) == Delivered()
        assert server.tasks["results"][-1] == {KEY: FIRST.to_json()}
        assert reads(server) == [TRY]

    def test_the_runs_record_is_at_the_task_that_runs_dbt_too(
        self, server: FakeAirflow, sink: Any
    ) -> None:
        """Where Airflow deletes it at the next try, which tells which try is at work."""
        run = RunRecord(state="running", attempt=1)
        made = sink(xcom_task_id="results")
        for record in (run, FIRST, replace(run, state="finished", exit_code=0, sequence=2)):
            assert made.send(record) == Delivered()
        assert server.tasks["results"][-1].keys() == {RunRecord.key, KEY}
        assert server.xcoms[-1].keys() == {RunRecord.key}
        assert server.xcoms[-1][RunRecord.key]["state"] == "finished"
        server.retry()
        late = sink(xcom_task_id="results")
        assert isinstance(late.send(replace(run, sequence=3)), Rejected)
        assert server.xcoms == {-1: {}}

    def test_of_a_mapped_task(self, sink: Any) -> None:
        with FakeAirflow(map_indexes=(0, 1)) as server:
            server.try_number = 2
            made = AirflowSink(settings(server, map_index=1), lambda _: None)
            assert isinstance(made.send(FIRST), Rejected)
            assert reads(server) == [f"{TRY}/1"]
            made.close()

    def test_a_record_of_a_saved_log_is_of_no_try(self, server: FakeAirflow, sink: Any) -> None:
        server.try_number = 2
        assert sink().send(replace(FIRST, attempt=None)) == Delivered()
        assert reads(server) == []

    def test_one_write_a_record_and_fewer_questions_than_records(
        self, server: FakeAirflow, relay: MakeRelay
    ) -> None:
        made = relay(server.url)
        records = [replace(FIRST, unique_id=f"model.shop.n{number}") for number in range(40)]
        made.settle(server, *records)
        assert server.writes() == {record.key: ["POST"] for record in records}
        assert len(reads(server)) < len(records)
        assert set(reads(server)) == {TRY}
        assert made.sink.writer.writes == 40

    def test_the_answer_is_kept_for_a_moment(self, server: FakeAirflow) -> None:
        now = [100.0]
        session = Session(settings(server))
        current = CurrentAttempt(session, settings(server), lambda: now[0])
        assert current.number() == 1
        server.retry()
        now[0] += BELIEVED_FOR * 0.9
        assert current.number() == 1
        now[0] += BELIEVED_FOR * 0.2
        assert current.number() == 2
        assert len(reads(server)) == 2
        session.close()

    def test_it_is_asked_anew_after_trouble(self, server: FakeAirflow, sink: Any) -> None:
        server.faults.append(fake.BAD_GATEWAY)
        made = sink()
        assert isinstance(made.send(FIRST), Retry)
        server.retry()
        assert isinstance(made.send(FIRST), Rejected), "the outage was long enough for a retry"
        assert server.xcoms == {-1: {}}

    @pytest.mark.parametrize(
        "fault",
        [
            fake.FORBIDDEN,
            fake.NO_TASK,
            fake.LOGIN_PAGE,
            fake.answering(200, ["x"]),
            fake.BAD_GATEWAY,
        ],
    )
    def test_an_airflow_that_does_not_tell_is_written_to(
        self, server: FakeAirflow, sink: Any, fault: fake.Fault
    ) -> None:
        server.read_faults.append(fault)
        assert sink().send(FIRST) == Delivered()

    @pytest.mark.parametrize("fault", [fake.RESET, fake.STALL])
    def test_an_airflow_that_is_not_there(
        self, server: FakeAirflow, sink: Any, fault: fake.Fault
    ) -> None:
        server.read_faults.append(fault)
        assert isinstance(sink().send(FIRST), Retry)
        assert server.writes() == {}

    def test_a_token_that_is_not_accepted_is_not_tried_again(
        self, server: FakeAirflow, sink: Any
    ) -> None:
        verdict = sink(login=Login(token="wrong")).send(FIRST)
        assert isinstance(verdict, Hold)
        assert "does not accept the token" in verdict.reason
        assert server.writes() == {}


class TestForce:
    def test_writes_all_the_same(self, server: FakeAirflow, sink: Any) -> None:
        server.retry()
        server.xcoms[-1][KEY] = SECOND.to_json()
        made = sink(force=True)
        assert made.send(FIRST) == Delivered()
        assert server.xcoms[-1] == {KEY: FIRST.to_json()}
        assert made.send(replace(FIRST, sequence=2)) == Delivered()
        server.xcoms[-1].clear()
        assert made.send(replace(FIRST, sequence=3)) == Delivered()
        assert server.writes() == {KEY: ["POST", "PATCH", "PATCH", "PATCH", "POST"]}
        assert reads(server) == []


class TestReadRecords:
    def test_all_of_ours_from_several_pages(self, server: FakeAirflow) -> None:
        records: dict[str, Record] = {
            f"model.shop.é{n}": replace(FIRST, unique_id=f"model.shop.é{n}") for n in range(203)
        }
        records[RunRecord.key] = RunRecord(state="died")
        sink = AirflowSink(settings(server, key_prefix="p."), lambda _: None)
        for record in records.values():
            assert sink.send(record) == Delivered()
        sink.close()
        server.xcoms[-1] |= {"return_value": "x", "p.mine": {"a": 1}, KEY: FIRST.to_json()}
        assert read_records(settings(server, key_prefix="p.")) == records
        assert read_records(settings(server)) == {KEY: FIRST}

    @pytest.mark.parametrize("version", ["3.0.6", "3.3.2"])
    def test_of_another_task_and_a_map_index(self, version: str) -> None:
        with FakeAirflow(map_indexes=(0, 1), version=version) as server:
            other = replace(FIRST, unique_id="model.shop.other")
            server.tasks["results"][0][other.key] = other.to_json()
            server.tasks["results"][0][KEY] = FIRST.to_json()
            server.tasks["results"][1][KEY] = json.dumps(json.dumps(SECOND.to_json()))
            to = settings(server, xcom_task_id="results", map_index=1)
            assert read_records(to) == {KEY: SECOND}
            paths = [r.path for r in server.requests if other.key in r.path]
            assert paths == [], "not ours to ask for"
            assert read_records(settings(server, map_index=1)) == {}

    def test_trouble_that_passes(self, server: FakeAirflow) -> None:
        server.xcoms[-1][KEY] = FIRST.to_json()
        server.read_faults.extend([fake.BAD_GATEWAY, fake.RESET, None, fake.TOO_MANY])
        pauses: list[float] = []
        assert read_records(settings(server), pauses.append) == {KEY: FIRST}
        assert pauses == [1, 2, 5]

    @pytest.mark.parametrize("fault", [fake.EXPIRED, fake.FORBIDDEN, fake.LOGIN_PAGE])
    def test_a_refusal_of_what_was_allowed_before(
        self, server: FakeAirflow, fault: fake.Fault
    ) -> None:
        server.xcoms[-1][KEY] = FIRST.to_json()
        server.read_faults.extend([None, fault, fault])
        assert read_records(settings(server), lambda _: None) == {KEY: FIRST}

    def test_trouble_that_stays(self, server: FakeAirflow) -> None:
        server.read_faults.extend([fake.BAD_GATEWAY] * 9)
        pauses: list[float] = []
        verdict = read_records(settings(server), pauses.append)
        assert isinstance(verdict, Retry)
        assert "502" in verdict.reason
        assert len(pauses) == 2

    def test_what_a_person_has_to_mend(self, server: FakeAirflow) -> None:
        verdict = read_records(settings(server, login=Login(token="wrong")), pytest.fail)
        assert isinstance(verdict, Hold)
        assert "does not accept the token" in verdict.reason

    def test_an_xcom_that_goes_meanwhile(self, server: FakeAirflow) -> None:
        server.xcoms[-1] |= {KEY: FIRST.to_json(), "z": 1}
        server.read_faults.extend([None, fake.NO_XCOM])
        assert read_records(settings(server), pytest.fail) == {}
