"""The decision against the table in docs/reference/decisions.md, in every combination of words."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import NamedTuple, get_args

import pytest
from support import records

from dbt_relay.consumer.waiting.decision import (
    Decision,
    OnMissing,
    Policy,
    Producer,
    Unreadable,
    combine,
    decide,
    decide_run,
)
from dbt_relay.records.schema import NodeRecord, RunRecord

DOC = Path(__file__).parents[3] / "docs/reference/decisions.md"
UID = "model.jaffle.orders"
TRY = 3


def node(status: str, attempt: int | None = TRY, **fields: object) -> NodeRecord:
    return records.node(UID, status, attempt=attempt, **fields)


def stranger(status: str) -> NodeRecord:
    return replace(node(status), unique_id="model.jaffle.payments")


def run(state: str, code: int | None = None, waiting: int = 0, **fields: object) -> RunRecord:
    delivery = {"airflow": {"records": 5, "delivered": 5 - waiting, "waiting": waiting}}
    facts = {"attempt": TRY, "command": "dbt build", "delivery": delivery, **fields}
    return RunRecord(state=state, exit_code=code, **facts)  # type: ignore[arg-type]


NODES: dict[str, list[NodeRecord | Unreadable | None]] = {
    "none": [None],
    "of an older try": [node("success", TRY - 1), node("error", TRY - 1)],
    "success": [node("success"), node("pass"), node("no-op"), node("success", None)],
    "warning": [node("warn")],
    "skipped": [node("skipped", skip_cause="fail_fast"), node("skipped")],
    "skipped after a failure": [node("skipped", skip_cause="upstream_failed")],
    "skipped and recovered": [node("skipped", skip_cause="upstream_failed")],
    "failure": [node("error"), node("fail"), node("partial success"), node("error", None)],
    "interrupted": [
        node("interrupted"),
        node("cancelled"),
        node("error", outcome="interrupted"),
        node("success", outcome="interrupted"),
    ],
    "doubtful": [
        node("done"),
        node("timed out"),
        node("SUCCESS"),
        node("done", outcome="success"),
        node("error", outcome="success"),
        node("cancelled", outcome="warning"),
        node("warn", outcome="success"),
        node("success", outcome="skipped"),
        node("success", outcome="green"),
    ],
    "of another node": [stranger("success"), stranger("error"), Unreadable()],
}
RUNS = {
    "none": [None, run("finished", 0, attempt=TRY - 1)],
    "running": [run("running")],
    "finished with 0 or 1": [
        run("finished", 0),
        run("finished", 1),
        run("finished", 1, announced=5, missing=0),
    ],
    "finished with another code": [run("finished", 2)],
    "died": [run("died", 137, signal="SIGKILL"), run("died")],
    "incomplete": [run("finished", 1, announced=5, missing=2), run("finished", 0, missing=1)],
    "undelivered": [run("finished", 0, waiting=2)],
}
STATES = (
    *("none", "scheduled", "queued", "restarting"),
    *("running", "deferred", "up_for_reschedule", "up_for_retry"),
    *("success", "failed", "skipped", "upstream_failed", "removed"),
)
TRIES = {"first": 1, "used up": TRY, "later": TRY + 1}
OPTIONS = tuple(
    [*([f"on_missing={m}"] if m != "fail" else []), *(["on_upstream_failed=skip"] if u else [])]
    + (["fallback"] if f else [])
    for m, u, f in product(get_args(OnMissing), (False, True), (False, True))
)


@cache
def words_of(column: str) -> frozenset[str]:
    return frozenset(column.split(", "))


class Row(NamedTuple):
    node: str
    run: str
    state: str
    attempt: str
    option: str
    action: str

    def fits(self, *words: str, options: list[str]) -> bool:
        columns = (self.node, self.run, self.state, self.attempt)
        return (self.option == "any" or self.option in options) and all(
            column == "any" or word in words_of(column)
            for column, word in zip(columns, words, strict=True)
        )


def table() -> list[Row]:
    lines = DOC.read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    return [Row(*row) for row in rows if len(row) == 6][2:]


ROWS = table()
UNKNOWN_TRY = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in DOC.read_text().splitlines()
    if line.endswith(("| of an older try |", "| of this try |"))
]


def policy(options: list[str]) -> Policy:
    named = dict(option.split("=") for option in options if "=" in option)
    return Policy(**named, can_run="fallback" in options)  # type: ignore[arg-type]


@pytest.mark.parametrize("state", STATES)
def test_every_combination_has_the_decision_of_the_table(state: str) -> None:
    producer = Producer(None if state == "none" else state, attempt=TRY)
    for of_node, of_run, attempt, options in product(NODES, RUNS, TRIES, OPTIONS):
        words = (of_node, of_run, state, attempt)
        row = next(row for row in ROWS if row.fits(*words, options=options))
        for its_node, its_run in product(NODES[of_node], RUNS[of_run]):
            decided = decide(
                UID,
                its_node,
                its_run,
                producer,
                attempt=TRIES[attempt],
                is_recovered=of_node == "skipped and recovered",
                policy=policy(options),
            )
            assert decided.action == row.action, (words, options, row, decided)


def test_the_table_has_no_useless_row_and_no_unknown_word() -> None:
    used: set[Row] = set()
    for of_node, of_run, state, attempt, options in product(NODES, RUNS, STATES, TRIES, OPTIONS):
        words = (of_node, of_run, state, attempt)
        used.add(next(row for row in ROWS if row.fits(*words, options=options)))
    assert used == set(ROWS)
    known = (NODES, RUNS, STATES, TRIES, [option for options in OPTIONS for option in options])
    for row in ROWS:
        for column, words in zip(row[:5], known, strict=True):
            assert words_of(column) <= {"any", *words}


def missing(its_run: RunRecord | None, state: str = "success", **options: object) -> Decision:
    return decide(UID, None, its_run, Producer(state, TRY), policy=Policy(**options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("its_run", "state", "words"),
    [
        (None, "success", "does its command start with `dbt-relay run`?"),
        (None, "failed", "there is no record of its run: see its log"),
        (run("running"), "failed", "the relay was killed before dbt had ended this node"),
        (run("finished", 2, message="Parsing Error"), "failed", "exit code 2"),
        (run("finished", 2, message="Parsing Error"), "failed", "Parsing Error"),
        (run("died", 137, signal="SIGKILL"), "failed", "SIGKILL"),
        (run("finished", 0, waiting=1), "success", "1 record of this run did not get to Airflow"),
        (run("finished", 1, announced=5, missing=2), "failed", "ran 2 nodes of the 5 that it had"),
        (run("finished", 0), "success", "`dbt build` did not select it, or it is an ephemeral"),
        (run("finished", 0), "upstream_failed", "a task upstream of the task that runs it failed"),
        (run("finished", 0), "removed", "no longer part of the DAG"),
        (run("finished", 0), "skipped", "the task that runs dbt was skipped"),
    ],
)
def test_absence_is_explained(its_run: RunRecord | None, state: str, words: str) -> None:
    assert words in missing(its_run, state).reason


def test_only_a_complete_run_makes_absence_green() -> None:
    assert missing(run("finished", 0), on_missing="success").action == "success"
    left_out = run("finished", 1, announced=5, missing=2)
    for its_run in (
        None,
        run("running"),
        run("finished", 2),
        run("finished", 0, waiting=1),
        left_out,
    ):
        assert missing(its_run, on_missing="success").action == "fail"


def test_a_decision_on_a_record_has_dbts_words() -> None:
    failed = node("error", message="Database Error in model orders\n  no such table: raw")
    decided = decide(UID, failed, run("running"), Producer("running", TRY))
    assert decided == Decision("fail", decided.reason, failed)
    assert decided.reason.endswith("Database Error in model orders\n  no such table: raw")


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (node("done"), "dbt-relay does not know the status 'done'"),
        (
            node("error", outcome="success"),
            "the status 'error' does not have the outcome 'success'",
        ),
        (stranger("success"), "is the record of model.jaffle.payments"),
    ],
)
def test_a_reason_says_why_a_record_is_not_believed(record: NodeRecord, words: str) -> None:
    policy = Policy(on_missing="success")
    decided = decide(UID, record, run("finished", 0), Producer("success", TRY), policy=policy)
    assert decided.action == "fail"
    assert words in decided.reason


@pytest.mark.parametrize("state", STATES)
def test_the_second_table_decides_where_the_attempt_is_unknown(state: str) -> None:
    producer = Producer(None if state == "none" else state, is_cleared=False)
    known = replace(producer, attempt=TRY)
    for of_run, is_cleared in product([*RUNS, "of a newer try"], (True, False)):
        words = ("at it" if is_cleared else "elsewhere", of_run, state)
        found = next(
            answer
            for *columns, answer in UNKNOWN_TRY
            if all(
                column in ("any", "anywhere") or word in words_of(column)
                for column, word in zip(columns, words, strict=True)
            )
        )
        for its_run in RUNS.get(of_run, [run("finished", 0, attempt=TRY + 1)]):
            if of_run == "none" and its_run is not None:
                continue  # here only the run's record tells the attempt
            said = node("success") if found == "of this try" else node("success", TRY - 1)
            of_known = None if of_run == "of a newer try" else its_run
            expected = decide(UID, said, of_known, known).action
            asked = replace(producer, is_cleared=is_cleared)
            assert decide(UID, node("success"), its_run, asked).action == expected, words


@pytest.mark.parametrize(
    ("state", "its_run", "action"),
    [
        ("running", run("running"), "success"),
        ("running", run("running", attempt=TRY + 1), "wait"),
        ("running", run("finished", 0), "wait"),
        ("running", None, "wait"),
        ("up_for_retry", run("finished", 1), "success"),
        ("success", run("finished", 0), "success"),
        ("success", None, "success"),
        ("success", run("finished", 0, attempt=TRY + 1), "fail"),
    ],
)
def test_the_run_decides_whether_a_record_is_current_where_the_attempt_is_unknown(
    state: str, its_run: RunRecord | None, action: str
) -> None:
    assert decide(UID, node("success"), its_run, Producer(state)).action == action


@pytest.mark.parametrize("state", ["running", "up_for_retry", "success", "failed"])
def test_records_that_survive_a_retry_need_the_runs_record(state: str) -> None:
    producer = Producer(state, is_cleared=False)
    for status in ("success", "warn", "error", "skipped"):
        action = decide(UID, node(status, 1), None, producer, policy=Policy("success")).action
        assert action == ("fail" if producer.has_ended else "wait")


@pytest.mark.parametrize(
    ("its_run", "words"),
    [
        (run("finished", 0, waiting=1), "1 record of this run did not get to Airflow"),
        (run("finished", 0, waiting=2), "2 records of this run did not get to Airflow"),
        (run("finished", 1, announced=1, missing=1), "ran 1 node of the 1 that it had"),
        (run("finished", 1, announced=5, missing=2), "ran 2 nodes of the 5 that it had"),
    ],
)
def test_missing_records_and_nodes_are_counted(its_run: RunRecord, words: str) -> None:
    assert words in missing(its_run).reason


@pytest.mark.parametrize(
    ("found", "words"),
    [(1, "lacks 1 record of this run, out of 2"), (0, "lacks 2 records of this")],
)
def test_records_that_are_gone_are_counted(found: int, words: str) -> None:
    doubt = decide_run(run("finished", 0, nodes={"success": 2}), Producer("success", TRY), found)
    assert doubt is not None
    assert words in doubt.reason


def test_a_failure_keeps_its_record_on_the_way_through_json() -> None:
    """A trigger hands its decision to the worker as JSON."""
    bad, good = node("error", message="no column x"), node("success")
    first = Decision("fail", "it failed", bad)
    both = combine([Decision("success", "ok", good), first, Decision("fail", "so did this", good)])
    assert both.node == bad
    assert Decision.from_json(json.loads(json.dumps(both.to_json()))) == both
    assert Decision.from_json(Decision("success", "ok", good).to_json()).node is None
