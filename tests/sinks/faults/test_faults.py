"""One fault at a time: what the server holds in the end, in how many writes, and what is said."""

from __future__ import annotations

import socket
import sys
import time
from typing import TYPE_CHECKING

import fake_airflow as fake
import pytest
from dbt_relay.parser.records import NodeRecord, Record, RunRecord
from dbt_relay.sinks.airflow import Login
from fake_airflow import PASSWORDS, FakeAirflow, Fault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dbt_relay.sinks import Figures

    from .conftest import Relay

    MakeRelay = Callable[..., Relay]

VALUE = "select the-value-that-was-sent"
KEY = "model.shop.a"


def success(key: str = KEY) -> NodeRecord:
    return NodeRecord(unique_id=key, status="success", outcome="success", message=VALUE)


def failure(sequence: int = 1, key: str = KEY) -> NodeRecord:
    return NodeRecord(
        unique_id=key, status="error", outcome="failure", message=f"{VALUE} {sequence}",
        sequence=sequence,
    )  # fmt: skip


def assert_nothing_leaks(figures: Figures, relay: Relay, server: FakeAirflow | None = None) -> None:
    said = [*figures.waiting.values(), *figures.rejected.values(), *relay.notes]
    secrets = [VALUE, *PASSWORDS.values(), "Bearer", "eyJ"]
    if server is not None:
        secrets += [*server.valid, *server.expired]
    for reason in said:
        assert not [secret for secret in secrets if secret in reason], reason


def settle(relay: Relay, server: FakeAirflow, *records: Record) -> Figures:
    """Send, and hold the server against the truth."""
    figures = relay.send(records)
    truth = {record.key: record.to_json() for record in records}
    assert server.xcoms[-1] == truth
    assert figures.is_complete
    assert figures.delivered == len(truth.keys() - {RunRecord.key})
    assert_nothing_leaks(figures, relay, server)
    return figures


class TestWithoutFaults:
    def test_one_write_for_each_node(self, relay: MakeRelay) -> None:
        with FakeAirflow() as server:
            records = [success(f"model.shop.n{number}") for number in range(50)]
            settle(relay(server.url), server, *records)
            assert server.writes() == {record.key: ["POST"] for record in records}
            others = [r.path for r in server.requests if r.key is None]
            assert sorted(others) == ["/api/v2/version", "/auth/token"]

    def test_an_amendment_is_a_patch(self, relay: MakeRelay) -> None:
        with FakeAirflow() as server:
            made = relay(server.url)
            settle(made, server, failure(1))
            settle(made, server, failure(2))
            assert server.writes() == {KEY: ["POST", "PATCH"]}
            assert server.commits() == {KEY: 2}

    def test_a_record_amended_while_it_waits_is_one_write(self, relay: MakeRelay) -> None:
        with FakeAirflow([fake.STALL]) as server:
            made = relay(server.url)
            made.delivery.put(success("model.shop.first"))
            made.delivery.put(failure(1))
            made.delivery.put(failure(2))
            settle(made, server, success("model.shop.first"), failure(3))
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
            settle(relay(server.url), server, success())
            assert server.writes() == {KEY: ["POST", "PATCH"]}

    def test_an_xcom_that_was_cleared_is_posted_again(self, relay: MakeRelay) -> None:
        with FakeAirflow() as server:
            made = relay(server.url)
            settle(made, server, failure(1))
            server.xcoms[-1].clear()
            settle(made, server, failure(2))
            assert server.writes() == {KEY: ["POST", "PATCH", "POST"]}


LATER = {
    "reset": (fake.RESET, ["POST", "POST"]),
    "reset after commit": (fake.RESET_AFTER_COMMIT, ["POST", "POST", "PATCH"]),
    "stall": (fake.STALL, ["POST", "POST"]),
    "stall after commit": (fake.STALL_AFTER_COMMIT, ["POST", "POST", "PATCH"]),
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
        deadline = time.monotonic() + 3
        while not server.writes() and time.monotonic() < deadline:
            time.sleep(0.002)
        settle(made, server, success())
        settle(made, server, success(), success("model.shop.b"))
        written = server.writes()
        assert written[KEY][: len(methods)] == methods
        assert written["model.shop.b"] == ["POST"], "the server is well again"
        assert all(request.status != 404 for request in server.requests), "a redirect was followed"
