"""The reads of a look: their order and their number."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from support import records

from dbt_relay.consumer.waiting.decision import Decision, Policy
from dbt_relay.consumer.waiting.look import Waiting, look, look_at_prefixes
from dbt_relay.records import TaskInstance
from dbt_relay.records.schema import RunRecord, read_record

ORDERS, PAYMENTS = "model.jaffle.orders", "model.jaffle.payments"
WAITING = Waiting((ORDERS,), TaskInstance("jaffle", "run 1", "dbt"))
RUN = RunRecord.key


def node(unique_id: str, status: str = "success", **fields: Any) -> dict[str, Any]:
    return records.node(unique_id, status, **{"attempt": 1, **fields}).to_json()


def run(state: str = "running", **fields: Any) -> dict[str, Any]:
    return RunRecord(state=state, **{"attempt": 1, **fields}).to_json()  # type: ignore[arg-type]


class Airflow:
    """A reader that records each call. The XComs `later` appear after the read of the state."""

    def __init__(
        self, state: str | None, xcoms: dict[str, Any], try_number: int | None = 1
    ) -> None:
        self.its_state = state
        self.xcoms = xcoms
        self.its_try = try_number
        self.asked: list[str] = []
        self.later: dict[str, Any] = {}
        self.at_producer: dict[str, Any] = {}

    def state(self, _: Waiting) -> str | None:
        self.asked.append("state")
        return self.its_state

    def xcom(self, waiting: Waiting, key: str) -> Any:
        self.asked.append(key)
        self.xcoms.update(self.later)
        return (self.xcoms if waiting.xcom_task_id else self.at_producer or self.xcoms).get(key)

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
    """The state is read first, so that no record from before the producer's end is missed."""
    airflow = Airflow("success", {RUN: run("finished", exit_code=0)})
    airflow.later = {ORDERS: node(ORDERS)}
    assert look(WAITING, airflow, {}).action == "success"


def test_a_decided_node_is_not_read_again() -> None:
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


def test_a_value_that_airflow_encoded_twice_is_a_record() -> None:
    twice = json.dumps(json.dumps(node(ORDERS)))
    assert look(WAITING, Airflow("running", {ORDERS: twice, RUN: run()}), {}).action == "success"


def test_a_value_that_is_no_record_counts_as_none() -> None:
    for value in ("text", 3, [], {"schema": "another"}, run()):
        assert look(WAITING, Airflow("running", {ORDERS: value, RUN: run()}), {}).action == "wait"


def test_an_unreadable_value_does_not_count_as_an_absent_record() -> None:
    newer = {**node(ORDERS, "error"), "schema": "dbt-relay/node@2"}
    without = {k: v for k, v in node(ORDERS, "error").items() if k != "outcome"}
    for value in ("text", 3, [], {"schema": "another"}, newer, without):
        for on_missing in ("fail", "skip", "success"):
            waiting = replace(WAITING, policy=Policy(on_missing))
            xcoms = {ORDERS: value, RUN: run("finished", exit_code=0)}
            decided = look(waiting, Airflow("success", xcoms), {})
            assert decided.action == "fail"
            assert "this dbt-relay cannot read the XCom under the key" in decided.reason


def test_a_node_runs_once_the_cause_of_its_skip_has_recovered() -> None:
    fields = {"outcome": "skipped", "skip_cause": "upstream_failed", "caused_by": PAYMENTS}
    xcoms = {ORDERS: node(ORDERS, "skipped", **fields), PAYMENTS: node(PAYMENTS, "error")}
    waiting = replace(WAITING, policy=Policy(can_run=True))
    assert look(waiting, Airflow("failed", xcoms), {}).action == "fail"
    xcoms[PAYMENTS] = node(PAYMENTS)
    assert look(waiting, Airflow("failed", xcoms), {}).action == "run"
    assert look(WAITING, Airflow("failed", xcoms), {}).action == "fail"


def test_nodes_by_prefix_run_too_once_the_cause_of_their_skip_has_recovered() -> None:
    fields = {"outcome": "skipped", "skip_cause": "upstream_failed", "caused_by": PAYMENTS}
    waiting = replace(WAITING, unique_ids=(), policy=Policy(can_run=True))

    def decided(payments: str) -> str:
        values = (node(ORDERS, "skipped", **fields), node(PAYMENTS, payments))
        found = {r.key: r for r in map(read_record, values) if r is not None}
        looks = look_at_prefixes(waiting, Airflow("failed", {}), [ORDERS], lambda: found)
        return looks[ORDERS].action

    assert decided("error") == "fail"
    assert decided("success") == "run"


def test_a_look_reads_the_keys_that_the_relay_writes() -> None:
    waiting = replace(WAITING, unique_ids=("model.jaffle.ünï",), key_prefix="a:")
    airflow = Airflow("failed", {})
    look(waiting, airflow, {})
    assert airflow.asked == ["state", "a:model.jaffle.:C3:BCn:C3:AF", f"a:{RUN}"]


def test_a_waiting_task_survives_the_way_to_the_triggerer() -> None:
    waiting = replace(
        WAITING, policy=Policy("skip", "skip", can_run=True), logical_date="2026-01-01"
    )
    assert Waiting.from_json(json.loads(json.dumps(waiting.to_json()))) == waiting


def test_a_record_of_another_node_under_the_key_is_not_believed() -> None:
    xcoms = {ORDERS: node(PAYMENTS), RUN: run("finished", exit_code=0)}
    assert look(WAITING, Airflow("running", xcoms | {RUN: run()}), {}).action == "wait"
    for on_missing in ("fail", "skip", "success"):
        waiting = replace(WAITING, policy=Policy(on_missing))
        decided = look(waiting, Airflow("success", xcoms), {})
        assert decided.action == "fail"
        assert PAYMENTS in decided.reason


def test_the_record_of_another_node_mends_no_cause() -> None:
    fields = {"outcome": "skipped", "skip_cause": "upstream_failed", "caused_by": PAYMENTS}
    xcoms = {ORDERS: node(ORDERS, "skipped", **fields), PAYMENTS: node("model.jaffle.customers")}
    waiting = replace(WAITING, policy=Policy(can_run=True))
    assert look(waiting, Airflow("failed", xcoms), {}).action == "fail"


def test_an_id_that_airflow_cannot_store_is_found() -> None:
    waiting = replace(WAITING, unique_ids=("model.jaffle.a\ud800",))
    key = "model.jaffle.a:ED:A0:80"
    airflow = Airflow("running", {key: node("model.jaffle.a\ufffd"), RUN: run()})
    assert look(waiting, airflow, {}).action == "success"


LASTING = replace(WAITING, xcom_task_id="results")
FIRST_TRY = {ORDERS: node(ORDERS), RUN: run("finished", exit_code=1)}


@pytest.mark.parametrize(
    ("state", "own", "action"),
    [
        ("running", None, "wait"),  # the relay of try 2 has not started
        ("running", run("finished", exit_code=1), "wait"),  # try 2 has not deleted it yet
        ("running", run(attempt=2), "wait"),
        ("up_for_retry", None, "wait"),
        ("up_for_retry", run("finished", attempt=2, exit_code=1), "wait"),
        ("failed", None, "fail"),  # the worker of try 2 was killed before its relay started
        ("success", None, "fail"),
        ("failed", run(attempt=2), "fail"),
        ("success", run("finished", attempt=2, exit_code=0), "fail"),
        ("running", run(), "success"),
        ("failed", run("finished", exit_code=1), "success"),
    ],
)
def test_a_success_of_an_earlier_attempt_is_not_believed_in_the_next(
    state: str, own: dict[str, Any] | None, action: str
) -> None:
    """Airflow does not tell the attempt. The run's record at the producer does, if it exists."""
    airflow = Airflow(state, dict(FIRST_TRY), try_number=None)
    airflow.at_producer = {RUN: own, "return_value": "a line"}
    assert look(LASTING, airflow, {}).action == action


def test_the_run_of_an_older_attempt_does_not_explain_an_absence() -> None:
    """Attempt 2 ended without its own record. The record that survives attempt 1 is complete."""
    for try_number, own in ((2, None), (None, None)):
        airflow = Airflow("failed", {RUN: run("finished", exit_code=0)}, try_number)
        airflow.at_producer = {RUN: own, "return_value": "a line"}
        decided = look(replace(LASTING, policy=Policy("success")), airflow, {})
        assert decided.action == "fail"
        assert "no record of its run" in decided.reason


def by_prefix(
    *values: dict[str, Any], state: str = "failed", prefix: str = "model.", **waiting: Any
) -> dict[str, str]:
    found = {r.key: r for r in map(read_record, values) if r is not None}
    at = replace(WAITING, unique_ids=(), **waiting)
    looks = look_at_prefixes(at, Airflow(state, {}, try_number=2), [prefix], lambda: found)
    return {name: decision.action for name, decision in looks.items()}


DONE = run("finished", exit_code=1, attempt=2, nodes={"success": 1}, announced=1, missing=0)


@pytest.mark.parametrize(
    "its_run",
    [
        None,
        DONE | {"attempt": 1},
        DONE | {"state": "running"},
        DONE | {"state": "died"},
        DONE | {"state": "something"},
        DONE | {"exit_code": 2},
        DONE | {"failed": [], "message": "the project cannot be compiled"},
        DONE | {"exit_code": 137, "signal": "SIGKILL", "state": "died"},
        DONE | {"exit_code": None},
        DONE | {"delivery": {"airflow": {"waiting": 1}}},
        DONE | {"delivery": {"airflow": {"rejected": 3}}},
        DONE | {"announced": 5, "missing": 4},
        DONE | {"nodes": {"success": 1, "failure": 1}},
    ],
)
def test_a_prefix_is_not_green_if_the_run_may_have_more_nodes(
    its_run: dict[str, Any] | None,
) -> None:
    values = [node(ORDERS, attempt=2), *([its_run] if its_run else [])]
    later = {"attempt": 2, "was_cleared": True, "policy": Policy("success", can_run=True)}
    for prefix in ("model.", "model.jaffle.nothing"):
        first = by_prefix(*values, prefix=prefix, policy=Policy("success"))
        assert first[RUN] == "fail"
        assert by_prefix(*values, prefix=prefix, **later)[RUN] == "run"


def test_a_prefix_is_green_if_its_nodes_are_whatever_others_did() -> None:
    failed = node("test.jaffle.t", "error", attempt=2)
    its_run = DONE | {"nodes": {"success": 1, "failure": 1}, "announced": 2}
    assert by_prefix(node(ORDERS, attempt=2), failed, its_run) == {ORDERS: "success"}
    unsaid = {k: v for k, v in DONE.items() if k not in ("announced", "missing")}
    assert by_prefix(node(ORDERS, attempt=2), unsaid) == {ORDERS: "success"}


def test_a_prefix_is_not_green_where_the_run_does_not_say_how_many_nodes_it_had() -> None:
    for nodes in (None, "2", ["success"], {"success": "1"}):
        its_run = DONE | {"nodes": nodes}
        decided = by_prefix(node(ORDERS, attempt=2), its_run)
        assert decided == {ORDERS: "success", RUN: "fail"}, nodes


def test_a_prefix_has_no_nodes_of_older_attempts() -> None:
    old = node(PAYMENTS, attempt=1)
    assert by_prefix(node(ORDERS, attempt=2), old, DONE) == {ORDERS: "success"}
    assert by_prefix(node(ORDERS, attempt=2), old, DONE, prefix=PAYMENTS) == {PAYMENTS: "fail"}
