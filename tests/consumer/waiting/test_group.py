"""The result of a group of tasks, after whatever has become of its nodes."""

from __future__ import annotations

import pytest

from dbt_relay.consumer.waiting.group import Group, judge
from dbt_relay.records.schema import RunRecord

GROUP = Group(
    upstream={"a": ["run_dbt"], "b": ["a"], "c": ["b"], "d": ["run_dbt"]},
    nodes={
        "a": ["model.p.a"],
        "b": ["model.p.b"],
        "c": ["model.p.c", "test.p.c"],
        "d": ["seed.p.d"],
    },
)
GREEN = dict.fromkeys("abcd", "success")


def run(code: int | None = 1, state: str = "finished", **facts: object) -> RunRecord:
    return RunRecord(state=state, exit_code=code, **facts)  # type: ignore[arg-type]


def test_every_task_succeeded_or_was_skipped() -> None:
    decision = judge(GROUP, {**GREEN, "d": "skipped"}, "success", None)
    assert (decision.action, decision.reason) == ("success", "4 tasks succeeded")


def test_a_failure_names_the_tasks_that_it_held_back() -> None:
    states = {"a": "failed", "b": "upstream_failed", "c": "upstream_failed", "d": "failed"}
    decision = judge(GROUP, states, "failed", run(failed=["model.p.a", "seed.p.d"]))
    assert decision.action == "fail"
    assert decision.reason.splitlines() == [
        "4 of 4 tasks did not succeed:",
        "  a: failed",
        "  d: failed",
        "  a held back 2 tasks: b, c",
    ]


@pytest.mark.parametrize(
    ("its_run", "first"),
    [
        (None, "the task that runs dbt failed, and there is no record of its run"),
        (run(2, message="Compilation Error"), "Compilation Error: clear the task that runs dbt"),
        (run(failed=["model.p.a"]), "2 of 4 tasks did not succeed:"),
    ],
)
def test_why_dbt_stopped_comes_before_the_tasks(its_run: RunRecord | None, first: str) -> None:
    states = {**GREEN, "a": "failed", "b": "failed"}
    told = judge(GROUP, states, "failed", its_run).reason.splitlines()
    assert told[0].startswith(first)
    assert "2 of 4 tasks did not succeed:" in told


def test_a_task_that_has_not_ended_yet_is_no_failure_beside_others() -> None:
    states = {"a": "failed", "b": "upstream_failed", "c": "upstream_failed", "d": "deferred"}
    reason = judge(GROUP, states, "failed", run(failed=["model.p.a"])).reason
    assert "d" not in reason.split()
    assert "3 of 4 tasks" in reason


def test_a_task_without_a_state_did_not_succeed() -> None:
    states = {"a": "success", "b": "success", "c": "success"}
    assert "d: not started" in judge(GROUP, states, "success", None).reason


@pytest.mark.parametrize("failed", [["model.p.a"], ["model.p.a", "test.p.c"]])
def test_nodes_that_have_succeeded_since_are_no_failures(failed: list[str]) -> None:
    decision = judge(GROUP, GREEN, "failed", run(failed=failed))
    assert decision.action == "success"
    assert "succeeded in a later run" in decision.reason


@pytest.mark.parametrize(
    ("its_run", "words"),
    [
        (run(failed=["operation.p.hook"]), "operation.p.hook failed"),
        (run(failed=["model.p.a", "test.q.other"]), "test.q.other failed"),
        (run(failed=[]), "something besides the nodes"),
        (run(), "something besides the nodes"),
        (run(failed=["model.p.a"], failed_omitted=3), "something besides the nodes"),
        (run(2, message="no profile"), "no profile"),
        (run(2), "exit code 2"),
        (run(None, "died", message="the relay was killed"), "the relay was killed"),
        (None, "no record of its run"),
    ],
)
def test_another_failure_of_dbts_run_stays(its_run: RunRecord | None, words: str) -> None:
    decision = judge(GROUP, GREEN, "failed", its_run)
    assert decision.action == "fail"
    assert words in decision.reason
