"""What a look reads, in which order, and how often."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from dbt_relay.consumer.decision import Decision, Policy
from dbt_relay.consumer.look import Waiting, look
from dbt_relay.consumer.prefixes import look_at_prefixes
from dbt_relay.parser.records import NodeRecord, RunRecord, read_record

ORDERS, PAYMENTS = "model.jaffle.orders", "model.jaffle.payments"
WAITING = Waiting((ORDERS,), "jaffle", "run 1", "dbt")
RUN = RunRecord.key


def node(unique_id: str, status: str = "success", **fields: Any) -> dict[str, Any]:
    outcome = "success" if status == "success" else "failure"
    facts = {"attempt": 1, "outcome": outcome, **fields}
    return NodeRecord(unique_id=unique_id, status=status, **facts).to_json()


def run(state: str = "running", **fields: Any) -> dict[str, Any]:
    return RunRecord(state=state, **{"attempt": 1, **fields}).to_json()  # type: ignore[arg-type]


class Airflow:
    """A reader that writes down what is asked. `after` happens between two calls."""

    def __init__(
        self, state: str | None, xcoms: dict[str, Any], try_number: int | None = 1
    ) -> None:
        self.its_state = state
        self.xcoms = xcoms
        self.its_try = try_number
        self.asked: list[str] = []
        self.later: dict[str, Any] = {}

    def state(self, _: Waiting) -> str | None:
        self.asked.append("state")
        return self.its_state

    def xcom(self, _: Waiting, key: str) -> Any:
        self.asked.append(key)
        self.xcoms.update(self.later)
        return self.xcoms.get(key)

    def try_number(self, _: Waiting) -> int | None:
        self.asked.append("try")
        return self.its_try


@pytest.mark.parametrize(
    ("state", "xcoms", "asked"),
    [
        ("queued", {}, ["state"]),
        ("running", {}, ["state", ORDERS]),
        ("running", {ORDERS: node(ORDERS), RUN: run()}, ["state", ORDERS, RUN, "try"]),
        ("success", {RUN: run("finished", exit_code=0)}, ["state", ORDERS, RUN]),
    ],
)
def test_a_look_asks_no_more_than_it_needs(
    state: str, xcoms: dict[str, Any], asked: list[str]
) -> None:
    airflow = Airflow(state, xcoms)
    look(WAITING, airflow, {})
    assert airflow.asked == asked


def test_a_record_that_arrives_while_the_producer_ends_is_not_missed() -> None:
    """The state is read first: what was written before the producer ended is then there."""
    airflow = Airflow("success", {RUN: run("finished", exit_code=0)})
    airflow.later = {ORDERS: node(ORDERS)}
    assert look(WAITING, airflow, {}).action == "success"


def test_what_is_decided_is_not_read_again() -> None:
    both = replace(WAITING, unique_ids=(ORDERS, PAYMENTS))
    airflow = Airflow("running", {ORDERS: node(ORDERS, "error", message="boom"), RUN: run()})
    known: dict[str, Decision] = {}
    assert look(both, airflow, known).action == "wait"
    airflow.asked.clear()
    airflow.xcoms[PAYMENTS] = node(PAYMENTS)
    decided = look(both, airflow, known)
    assert decided.action == "fail"
    assert decided.reason.count("boom") == 1
    assert "payments" in decided.reason
    assert ORDERS not in airflow.asked


def test_the_run_is_read_once_for_all_the_nodes_of_a_look() -> None:
    both = replace(WAITING, unique_ids=(ORDERS, PAYMENTS))
    airflow = Airflow("running", {ORDERS: node(ORDERS), PAYMENTS: node(PAYMENTS), RUN: run()})
    assert look(both, airflow, {}).action == "success"
    assert airflow.asked == ["state", ORDERS, RUN, "try", PAYMENTS]


def test_a_value_that_airflow_encoded_twice_is_a_record_all_the_same() -> None:
    twice = json.dumps(json.dumps(node(ORDERS)))
    assert look(WAITING, Airflow("running", {ORDERS: twice, RUN: run()}), {}).action == "success"


def test_what_is_no_record_is_none() -> None:
    for value in ("text", 3, [], {"schema": "another"}, run()):
        assert look(WAITING, Airflow("running", {ORDERS: value, RUN: run()}), {}).action == "wait"


def test_a_node_is_run_once_what_it_was_skipped_for_has_been_mended() -> None:
    fields = {"outcome": "skipped", "skip_cause": "upstream_failed", "caused_by": PAYMENTS}
    xcoms = {ORDERS: node(ORDERS, "skipped", **fields), PAYMENTS: node(PAYMENTS, "error")}
    waiting = replace(WAITING, policy=Policy(can_run=True))
    assert look(waiting, Airflow("failed", xcoms), {}).action == "fail"
    xcoms[PAYMENTS] = node(PAYMENTS)
    assert look(waiting, Airflow("failed", xcoms), {}).action == "run"
    assert look(WAITING, Airflow("failed", xcoms), {}).action == "fail"


def test_nodes_by_prefix_are_run_too_once_what_they_were_skipped_for_has_been_mended() -> None:
    fields = {"outcome": "skipped", "skip_cause": "upstream_failed", "caused_by": PAYMENTS}
    waiting = replace(WAITING, unique_ids=(), policy=Policy(can_run=True))

    def decided(payments: str) -> str:
        values = (node(ORDERS, "skipped", **fields), node(PAYMENTS, payments))
        found = {r.key: r for r in map(read_record, values) if r is not None}
        looks = look_at_prefixes(waiting, Airflow("failed", {}), [ORDERS], lambda: found)
        return looks[ORDERS].action

    assert decided("error") == "fail"
    assert decided("success") == "run"


def test_keys_are_those_that_the_relay_writes() -> None:
    waiting = replace(WAITING, unique_ids=("model.jaffle.ünï",), key_prefix="a:")
    airflow = Airflow("failed", {})
    look(waiting, airflow, {})
    assert airflow.asked == ["state", "a:model.jaffle.:C3:BCn:C3:AF", f"a:{RUN}"]


def test_a_waiting_task_survives_the_way_to_the_triggerer() -> None:
    waiting = replace(
        WAITING, policy=Policy("skip", "skip", can_run=True), logical_date="2026-01-01"
    )
    assert Waiting.from_json(json.loads(json.dumps(waiting.to_json()))) == waiting
