"""Which run in the journal is the attempt before: of this very task instance, or none."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from support.resuming import record

from dbt_relay.cli.resume.attempts import ElsewhereError, attempt_before
from dbt_relay.cli.resume.previous import previous_attempt
from dbt_relay.cli.resume.remaining import CannotResumeError
from dbt_relay.records import TaskInstance
from dbt_relay.sinks import Journal, RunInfo
from dbt_relay.sinks.airflow.attempts import Attempt

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
IDS: dict[str, Any] = {"dag_id": "shop", "run_id": "r", "task_id": "dbt"}
SURROUNDINGS = {"dbt": "1", "project": "2", "files": "3", "variables": "4"}
THIS = RunInfo(
    command=("dbt", "build"),
    started_at="",
    task=TaskInstance(**IDS),
    airflow_url="http://airflow",
    project_dir="/shop",
    environment=SURROUNDINGS,
)


def at(minutes: float) -> str:
    return (NOON + timedelta(minutes=minutes)).isoformat()


def run(attempt: int, **other: Any) -> RunInfo:
    return replace(THIS, attempt=attempt, **{"started_at": at(10 * attempt), **other})


def a_try(number: int, began: float | None = None, took: float | None = 5) -> Attempt:
    start = NOON + timedelta(minutes=10 * number if began is None else began)
    return Attempt(number, start, None if took is None else start + timedelta(minutes=took))


def found(
    attempt: int, runs: Sequence[RunInfo], tries: Sequence[Attempt] | None = None, **mine: Any
) -> int | None:
    """The place of the run that is the attempt before, from 1."""
    past = attempt_before(run(attempt, **mine), [*enumerate(runs, 1)], tries)
    return None if past is None else past[0]


def refusal(*arguments: Any, **mine: Any) -> str:
    with pytest.raises(CannotResumeError) as error:
        found(*arguments, **mine)
    return str(error.value)


OTHER = ("dbt", "test")


class TestWithoutAirflow:
    def test_the_one_before(self) -> None:
        assert found(2, [run(1)]) == 1
        assert found(3, [run(1), run(2)]) == 2

    @pytest.mark.parametrize("runs", [[], [run(2)], [run(3)]], ids=["none", "this", "later"])
    def test_none_before(self, runs: list[RunInfo]) -> None:
        assert found(2, runs) is None

    @pytest.mark.parametrize(("attempt", "runs"), [(3, [run(1)]), (5, [run(1), run(3)])])
    def test_never_one_further_back(self, attempt: int, runs: list[RunInfo]) -> None:
        """The one between may have run on another host, and made the same tables anew."""
        with pytest.raises(ElsewhereError, match="may have run on a different machine"):
            found(attempt, runs)

    @pytest.mark.parametrize(
        ("attempt", "runs"),
        [
            (2, [run(1), run(1)]),
            (2, [run(1), run(2), run(1)]),
            (3, [run(1), run(2), run(1)]),
            (3, [run(1), run(2), run(1, command=OTHER)]),
            (2, [run(1), run(3)]),
            (2, [run(1), run(3, command=OTHER)]),
            (2, [run(1), run(2)]),
            (3, [run(1), run(1), run(2)]),
            (3, [run(1), run(2), run(2)]),
        ],
        ids=[
            "a try 1 twice", "and a try 2 between", "a later try 1", "of another command",
            "a try that is to come", "of another command", "this try", "a try before twice",
            "the try before twice",
        ],
    )  # fmt: skip
    def test_a_dag_run_made_anew_or_a_mapped_task(self, attempt: int, runs: list[RunInfo]) -> None:
        assert "--map-index" in refusal(attempt, runs)

    def test_a_script_with_several_runs(self) -> None:
        runs = [run(1, command=OTHER), run(1), run(1, command=("dbt", "seed"))]
        assert found(2, runs) == 2
        assert found(2, [*runs, run(2, command=OTHER)]) == 2
        assert "ran a different command (dbt seed)" in refusal(2, runs, command=("dbt", "snapshot"))

    def test_a_script_with_the_same_command_for_several_projects(self) -> None:
        runs = [run(1, project_dir=f"/{p}", environment={**SURROUNDINGS, "project": p})
                for p in "abc"]  # fmt: skip
        mine = {"project_dir": "/b", "environment": runs[1].environment}
        assert found(2, runs, **mine) == 2

    def test_a_mapped_sibling_with_another_command(self) -> None:
        assert found(2, [run(1, command=OTHER), run(1)]) == 2
        assert "ran a different command" in refusal(2, [run(1, command=OTHER)])


class TestPlace:
    @pytest.mark.parametrize("part", SURROUNDINGS)
    def test_another_environment(self, part: str) -> None:
        other = run(1, environment={**SURROUNDINGS, part: "another"})
        assert "cannot be continued" in refusal(2, [other])

    def test_what_an_older_relay_did_not_write_down(self) -> None:
        assert "is unknown" in refusal(2, [run(1, environment=None, airflow_url=None)])

    def test_an_environment_that_cannot_be_told(self) -> None:
        assert "cannot be compared" in refusal(2, [run(1)], environment=None)

    def test_another_folder(self) -> None:
        assert "folder was /else" in refusal(2, [run(1, project_dir="/else")])

    def test_another_airflow_is_nobody(self) -> None:
        """Its tries are not of this task, and stand in nobody's way."""
        other = [run(a, airflow_url="http://staging") for a in (1, 2, 3)]
        assert found(2, other) is None
        assert found(2, [*other, run(1)]) == 4
        with pytest.raises(ElsewhereError):
            found(3, [run(1), *other])

    @pytest.mark.parametrize(("then", "now"), [(None, "http://a"), ("http://a", None)])
    def test_no_address_may_be_any(self, then: str | None, now: str | None) -> None:
        said = refusal(2, [run(1, airflow_url=then)], airflow_url=now)
        assert "the Airflow address was different or not set" in said


class TestAirflowTells:
    """Its times of each try are of this DAG run alone."""

    def test_the_one_before(self) -> None:
        assert found(2, [run(1)], [a_try(1), a_try(2, took=None)]) == 1

    @pytest.mark.parametrize("off", [-4, 4])
    def test_clocks_that_are_a_little_apart(self, off: float) -> None:
        past = run(1, started_at=at(10 + off / 60))
        assert found(2, [past], [a_try(1, took=0), a_try(2, took=None)]) == 1

    @pytest.mark.parametrize("began", [-600, 9.5, 15.5, 600])
    def test_a_dag_run_that_was_made_anew(self, began: float) -> None:
        past = run(1, started_at=at(began))
        said = refusal(2, [past], [a_try(1), a_try(2, took=None)])
        assert "is not Airflow's try 1" in said

    def test_of_the_old_and_the_new_one_the_new(self) -> None:
        runs = [run(1, started_at=at(-99)), run(2, started_at=at(-90)), run(1)]
        assert found(2, runs, [a_try(1), a_try(2, took=None)]) == 3

    def test_the_new_one_ran_elsewhere(self) -> None:
        runs = [run(1), run(2, started_at=at(-90))]
        with pytest.raises(ElsewhereError):
            found(3, runs, [a_try(1), a_try(2), a_try(3, took=None)])

    @pytest.mark.parametrize("newest", [1, 3])
    def test_it_is_at_another_try(self, newest: int) -> None:
        tries = [a_try(n) for n in range(1, newest + 1)]
        assert f"Airflow is at try {newest}" in refusal(2, [run(1)], tries)

    def test_it_knows_no_such_try(self) -> None:
        assert "is not Airflow's try 1" in refusal(2, [run(1)], [a_try(2, took=None)])

    def test_a_script_that_runs_the_same_twice(self) -> None:
        tries = [a_try(1), a_try(2, took=None)]
        assert "more than once" in refusal(2, [run(1), run(1, started_at=at(12))], tries)
        assert "more than once" in refusal(2, [run(1), run(2, started_at=at(20))], tries)

    def test_a_time_that_is_none(self) -> None:
        said = refusal(2, [run(1, started_at="soon")], [a_try(1), a_try(2, took=None)])
        assert "is not Airflow's try 1" in said


class TestJournal:
    def test_the_records_are_of_that_attempt_alone(self, tmp_path: Path) -> None:
        with Journal(tmp_path, pytest.fail) as journal:
            for attempt, nodes in ((1, "ab"), (2, "a")):
                past = journal.begin(run(attempt))
                for node in nodes:
                    past.put(record(f"model.shop.{node}", "success", attempt=attempt), 0)
            known = previous_attempt(journal, run(3), None)
            assert known is not None
            assert known.attempt == 2
            assert [*known.records] == ["model.shop.a"]

    def test_one_that_had_run_nothing_is_the_newest_all_the_same(self, tmp_path: Path) -> None:
        with Journal(tmp_path, pytest.fail) as journal:
            journal.begin(run(1)).put(record("model.shop.a", "success"), 0)
            journal.begin(run(2))
            with pytest.raises(CannotResumeError, match="no node ran in attempt 2"):
                previous_attempt(journal, run(3), None)

    def test_nodes_that_were_run_again_are_no_attempt(self, tmp_path: Path) -> None:
        with Journal(tmp_path, pytest.fail) as journal:
            journal.begin(run(1, renews=True)).put(record("model.shop.a", "success"), 0)
            assert previous_attempt(journal, run(2), None) is None

    @pytest.mark.parametrize(
        "other", [{"dag_id": "x"}, {"run_id": "x"}, {"task_id": "x"}, {"map_index": 0}]
    )
    def test_another_task_instance_is_none(self, tmp_path: Path, other: dict[str, Any]) -> None:
        with Journal(tmp_path, pytest.fail) as journal:
            elsewhere = run(1, task=TaskInstance(**{**IDS, **other}))
            journal.begin(elsewhere).put(record("model.shop.a", "success"), 0)
            assert previous_attempt(journal, run(2), None) is None
