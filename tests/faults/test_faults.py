"""One fault at a time: what the server holds in the end, in how many writes, and what is said."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from support import airflow_faults as fake
from support.fake_airflow import FakeAirflow
from support.records import node
from support.timing import within

from dbt_relay.records.schema import NodeRecord, RunRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.airflow_faults import Fault

    from .conftest import Relay

    MakeRelay = Callable[..., Relay]

VALUE = "select the-value-that-was-sent"
KEY = "model.shop.a"
ASKED = {
    "/auth/token",
    "/api/v2/version",
    f"/api/v2/dags/shop/dagRuns/run%2B1/taskInstances/dbt/xcomEntries/{KEY}?map_index=-1",
}


def success(key: str = KEY) -> NodeRecord:
    return node(key, message=VALUE)


def failure(sequence: int = 1, key: str = KEY) -> NodeRecord:
    return node(key, "error", message=f"{VALUE} {sequence}", sequence=sequence)


class TestWithoutFaults:
    def test_one_write_for_each_node(self, relay: MakeRelay) -> None:
        with FakeAirflow() as server:
            records = [success(f"model.shop.n{number}") for number in range(50)]
            relay(server.url).settle(server, *records)
            assert server.writes() == {record.key: ["POST"] for record in records}
            others = [r.path for r in server.requests if r.key is None]
            assert sorted(others) == ["/api/v2/version", "/auth/token"]

    def test_an_amendment_is_a_patch(self, relay: MakeRelay) -> None:
        with FakeAirflow() as server:
            made = relay(server.url)
            made.settle(server, failure(1))
            made.settle(server, failure(2))
            assert server.writes() == {KEY: ["POST", "PATCH"]}
            assert server.commits() == {KEY: 2}

    def test_a_record_amended_while_it_waits_is_one_write(self, relay: MakeRelay) -> None:
        with FakeAirflow([fake.STALL]) as server:
            made = relay(server.url)
            made.delivery.put(success("model.shop.first"))
            made.delivery.put(failure(1))
            made.delivery.put(failure(2))
            made.settle(server, success("model.shop.first"), failure(3))
            assert server.writes()[KEY] == ["POST"]

    def test_the_runs_record_from_start_to_end(self, relay: MakeRelay) -> None:
        with FakeAirflow() as server:
            made = relay(server.url, key_prefix="p.")
            made.send([RunRecord(state="running")])
            figures = made.send([success(), RunRecord(state="finished", sequence=2)])
            assert figures.is_complete
            assert server.writes() == {"p.dbt_relay_run": ["POST", "PATCH"], f"p.{KEY}": ["POST"]}
            assert server.xcoms[-1]["p.dbt_relay_run"]["state"] == "finished"

    def test_a_key_that_airflow_could_not_pull_and_a_value_that_it_would_refuse(
        self, relay: MakeRelay
    ) -> None:
        with FakeAirflow() as server:
            made = relay(server.url)
            for sequence, message in enumerate(('{"__var": "\0\ud800"}', "[" * 5000), start=1):
                bad = NodeRecord(
                    unique_id="a/b?é#\n", status="error", outcome="failure", message=message,
                    adapter_response={"__type": float("nan")}, sequence=sequence,
                )  # fmt: skip
                assert made.send([bad]).is_complete
            assert server.writes() == {"a:2Fb:3F:C3:A9:23:0A": ["POST", "PATCH"]}

    def test_a_mapped_task(self, relay: MakeRelay) -> None:
        with FakeAirflow(map_indexes=(0, 1)) as server:
            assert relay(server.url, map_index=1).send([success()]).is_complete
            assert server.xcoms == {0: {}, 1: {KEY: success().to_json()}}

    def test_an_api_below_a_path_is_asked_there(self, relay: MakeRelay) -> None:
        with FakeAirflow() as server:
            figures = relay(f"{server.url}/team").send([success()])
            assert "--airflow-url" in figures.waiting[KEY] or "_URL" in figures.waiting[KEY]
            assert {r.path for r in server.requests} == {"/team/auth/token", "/team/api/v2/version"}


class TestUpsert:
    def test_an_xcom_that_is_there_is_patched(self, relay: MakeRelay) -> None:
        with FakeAirflow() as server:
            server.xcoms[-1][KEY] = "of another try"
            relay(server.url).settle(server, success())
            assert server.writes() == {KEY: ["POST", "PATCH"]}

    def test_an_xcom_that_was_cleared_is_posted_again(self, relay: MakeRelay) -> None:
        with FakeAirflow() as server:
            made = relay(server.url)
            made.settle(server, failure(1))
            server.xcoms[-1].clear()
            made.settle(server, failure(2))
            assert server.writes() == {KEY: ["POST", "POST"]}


LATER = {
    "refuse": (fake.CLOSED, ["POST", "POST"]),
    "reset": (fake.RESET, ["POST", "POST"]),
    "reset after commit": (fake.RESET_AFTER_COMMIT, ["POST", "POST"]),
    "stall": (fake.STALL, ["POST", "POST"]),
    "stall after commit": (fake.STALL_AFTER_COMMIT, ["POST", "POST"]),
    "a body that never ends": (fake.DRIP, ["POST"]),
    "truncated body": (fake.TRUNCATED, ["POST"]),
    "database lock": (fake.DATABASE_LOCK, ["POST", "POST"]),
    "500 and reset": (fake.CRASHED, ["POST", "POST"]),
    "502": (fake.BAD_GATEWAY, ["POST", "POST"]),
    "503": (fake.UNAVAILABLE, ["POST", "POST"]),
    "429": (fake.answering(429, {}, Retry_After="0"), ["POST", "POST"]),
    "401": (fake.EXPIRED, ["POST", "POST"]),
    "403 invalid token": (fake.INVALID_TOKEN, ["POST", "POST"]),
    # Once more at the end: a page or a missing permission may have been a passing state.
    "login page": (fake.LOGIN_PAGE, ["POST", "POST"]),
    "redirect": (fake.REDIRECT, ["POST", "POST"]),
    "forbidden": (fake.FORBIDDEN, ["POST", "POST"]),
}


@pytest.mark.parametrize(("fault", "methods"), LATER.values(), ids=LATER)
def test_a_fault_that_passes(relay: MakeRelay, fault: Fault, methods: list[str]) -> None:
    with FakeAirflow([fault]) as server:
        made = relay(server.url)
        made.delivery.put(success())
        made.wait_until_tried()
        figures = made.send([])
        assert figures.delivered == 1
        assert server.writes() == {KEY: methods}
        assert server.commits()[KEY] <= 2
        assert server.xcoms[-1] == {KEY: success().to_json()}
        made.send([success("model.shop.b")])
        assert server.writes()["model.shop.b"] == ["POST"], "the server is well again"
        assert {r.path for r in server.requests if r.key is None} <= ASKED, (
            "a redirect was followed, or a connection used that the server resets"
        )


STAYS = {
    "refuse": (fake.CLOSED, "broke off"),
    "reset": (fake.RESET, "broke off"),
    "stall": (fake.STALL, "did not answer within 0.3 s"),
    "database lock": (fake.DATABASE_LOCK, "500 Database error"),
    "500 and reset": (fake.CRASHED, "--map-index"),
    "502": (fake.BAD_GATEWAY, "answered 502"),
    "429": (fake.TOO_MANY, "429 slow down"),
    "401": (fake.EXPIRED, "does not accept the token (Token Expired)"),
    "403 invalid token": (fake.INVALID_TOKEN, "does not accept the token (Invalid JWT token)"),
    "login page": (fake.LOGIN_PAGE, "DBT_RELAY_AIRFLOW_URL"),
    "redirect": (fake.REDIRECT, "DBT_RELAY_AIRFLOW_URL"),
    "forbidden": (fake.FORBIDDEN, "role Op"),
}


@pytest.mark.parametrize(("fault", "words"), STAYS.values(), ids=STAYS)
def test_a_fault_that_stays(relay: MakeRelay, fault: Fault, words: str) -> None:
    """Nothing arrives, nothing is lost, the end is in time, and the reason says what to do."""
    with FakeAirflow([fault] * 1000) as server:
        made = relay(server.url)
        made.delivery.put(success())
        made.wait_until_tried()
        with within(server.patience / 2):
            figures = made.send([success("model.shop.b")], timeout=0.4)
        assert figures.waiting.keys() == {KEY, "model.shop.b"}
        assert words in str(figures.waiting)
        assert server.xcoms == {-1: {}}
        made.assert_nothing_leaks(figures, server)


@pytest.mark.parametrize(
    ("fault", "words"), [(fake.TOO_LARGE, "--max-message-bytes"), (fake.REFUSED, "Value error, no")]
)
def test_a_record_that_is_refused_is_not_sent_again(
    relay: MakeRelay, fault: Fault, words: str
) -> None:
    with FakeAirflow([fault]) as server:
        made = relay(server.url)
        figures = made.send([success(), success("model.shop.b")])
        assert server.writes() == {KEY: ["POST"], "model.shop.b": ["POST"]}
        assert figures.rejected.keys() == {KEY}
        assert words in figures.rejected[KEY]
        made.assert_nothing_leaks(figures, server)
        assert made.send([failure(2)]).is_complete, "a newer record has its own chance"
        assert server.writes()[KEY] == ["POST", "POST"]


class TestRetryAfter:
    @pytest.mark.parametrize("until", ["70", "Fri, 31 Dec 2999 23:59:59 GMT"])
    def test_is_kept_to_and_not_waited_for_in_vain(self, relay: MakeRelay, until: str) -> None:
        fault = fake.answering(429, fake.detail("slow down"), Retry_After=until)
        with FakeAirflow([fault]) as server:
            made = relay(server.url)
            with within(30):  # what it waits for comes after the deadline
                figures = made.send([success(), success("model.shop.b")], timeout=60)
            assert "slow down" in figures.waiting[KEY]
            assert server.writes() == {KEY: ["POST"]}

    def test_a_short_one_is_waited_for(self, relay: MakeRelay) -> None:
        with FakeAirflow([fake.answering(503, {}, Retry_After="1")]) as server:
            started = time.monotonic()
            assert relay(server.url).send([success()]).is_complete
            assert time.monotonic() - started >= 1
