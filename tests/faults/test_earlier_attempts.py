"""What an Airflow tells of earlier attempts: its tries, and the records of the newest in XCom."""

from __future__ import annotations

import shlex
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from support import airflow_faults as fake
from support.fake_airflow import FakeAirflow
from support.records import node
from support.settings import airflow_at

from dbt_relay.cli.resume.previous import previous_attempt
from dbt_relay.cli.resume.remaining import CannotResumeError
from dbt_relay.records import TaskInstance
from dbt_relay.records.schema import NodeRecord, RunRecord
from dbt_relay.sinks import Hold, Journal, Retry, RunInfo
from dbt_relay.sinks.airflow import AirflowSettings, Login
from dbt_relay.sinks.airflow.attempts import Attempt, Untold, read_attempts

if TYPE_CHECKING:
    from collections.abc import Iterator

SURROUNDINGS = {"dbt": "1", "project": "2", "files": "3", "variables": "4"}
TRIES = [
    (1, "2026-01-02T03:00:00.5Z", "2026-01-02T03:10:00Z"),
    (2, "2026-01-02T03:15:00.123456+00:00", "2026-01-02T03:20:00Z"),
    (3, "2026-01-02T03:25:00Z", None),
]
RUN = RunRecord(
    state="finished", exit_code=1, command="dbt build", attempt=2, environment=SURROUNDINGS,
    started_at="2026-01-02T03:15:02Z", invocation_id="i-2",
)  # fmt: skip


@pytest.fixture
def server() -> Iterator[FakeAirflow]:
    with FakeAirflow() as running:
        running.tries = [*TRIES]
        running.try_number = 3
        yield running


def settings(server: FakeAirflow, **more: Any) -> AirflowSettings:
    return airflow_at(server.url, xcom_task_id="results", **more)


def info(server: FakeAirflow, attempt: int, **more: Any) -> RunInfo:
    known = RunInfo(
        command=("dbt", "build"), started_at="2026-01-02T03:15:02Z",
        task=TaskInstance("shop", "run+1", "dbt"), attempt=attempt,
        airflow_url=server.url, project_dir="/shop", environment=SURROUNDINGS,
    )  # fmt: skip
    return replace(known, **more)


def model(name: str, attempt: int = 2, **more: Any) -> NodeRecord:
    known = {"attempt": attempt, "invocation_id": f"i-{attempt}", **more}
    return node(f"model.shop.{name}", **known)


class TestTries:
    def test_each_with_its_times(self, server: FakeAirflow) -> None:
        tries = read_attempts(settings(server), pytest.fail)
        assert isinstance(tries, list)
        assert [t.number for t in tries] == [1, 2, 3]
        assert tries[0].spans("2026-01-02T03:05:00Z")
        assert tries[2].spans("2027-01-02T03:05:00Z")
        assert not tries[1].spans("2026-01-02T03:05:00Z")
        assert server.requests[-1].path.endswith("/taskInstances/dbt/tries")

    def test_of_a_map_index(self) -> None:
        with FakeAirflow(map_indexes=(0, 1)) as server:
            server.tries = TRIES[:1]
            tries = read_attempts(settings(server, map_index=1), pytest.fail)
            assert isinstance(tries, list)
            assert server.requests[-1].path.endswith("/taskInstances/dbt/1/tries")

    def test_of_a_mapped_task_without_one_there_are_none(self) -> None:
        with FakeAirflow(map_indexes=(0, 1)) as server:
            server.tries = TRIES[:1]
            verdict = read_attempts(settings(server), pytest.fail)
            assert isinstance(verdict, Hold)
            assert "mapped" in verdict.reason
            assert "--map-index" in verdict.reason

    def test_an_airflow_without_such_a_list(self, server: FakeAirflow) -> None:
        server.tries = None
        assert read_attempts(settings(server), pytest.fail) == Untold()

    def test_trouble(self, server: FakeAirflow) -> None:
        server.read_faults.extend([fake.BAD_GATEWAY] * 2)
        assert isinstance(read_attempts(settings(server), lambda _: None), list)
        server.read_faults.extend([fake.BAD_GATEWAY] * 4)
        assert isinstance(read_attempts(settings(server), lambda _: None), Retry)
        verdict = read_attempts(settings(server, login=Login(token="wrong")), pytest.fail)
        assert isinstance(verdict, Hold)

    def test_what_is_no_time_is_left_out(self, server: FakeAirflow) -> None:
        server.tries = [(1, None, None), (2, "soon", None), TRIES[2]]
        tries = read_attempts(settings(server), pytest.fail)
        assert isinstance(tries, list)
        assert [t.number for t in tries] == [3]
        assert isinstance(tries[0], Attempt)


def in_xcom(server: FakeAirflow, *records: NodeRecord | RunRecord) -> None:
    server.tasks["results"][-1] |= {r.key: r.to_json() for r in records}


def resumed(server: FakeAirflow, attempt: int = 3, **mine: Any) -> Any:
    with Journal(None) as journal:
        return previous_attempt(journal, info(server, attempt, **mine), settings(server))


def refusal(server: FakeAirflow, attempt: int = 3, **mine: Any) -> str:
    with pytest.raises(CannotResumeError) as error:
        resumed(server, attempt, **mine)
    return str(error.value)


class TestXcom:
    def test_only_the_newest_attempt_counts(self, server: FakeAirflow) -> None:
        """The second attempt was killed early: what it had not carried is in doubt."""
        in_xcom(server, RUN, model("a"), model("b", 1), model("c", 2, resumed_from=1))
        found = resumed(server)
        assert (found.attempt, found.command) == (2, ("dbt", "build"))
        assert [*found.records] == ["model.shop.a", "model.shop.c"]

    def test_of_the_attempt_that_is_now_nothing_counts(self, server: FakeAirflow) -> None:
        in_xcom(server, RUN, model("a"), model("b", 3))
        assert [*resumed(server).records] == ["model.shop.a"]

    @pytest.mark.parametrize("of_run", [1, 3, None])
    def test_the_run_must_be_that_attempts(self, server: FakeAirflow, of_run: int | None) -> None:
        in_xcom(server, replace(RUN, attempt=of_run), model("a"), model("b", 1))
        assert "no record of the run of attempt 2" in refusal(server)

    def test_an_attempt_between_has_left_nothing(self, server: FakeAirflow) -> None:
        in_xcom(server, replace(RUN, attempt=1), model("a", 1))
        assert "no record of the run of attempt 2" in refusal(server)

    @pytest.mark.parametrize("known", ["i-2", None])
    def test_nodes_that_were_run_again_are_of_no_attempt(
        self, server: FakeAirflow, known: str | None
    ) -> None:
        """`run --renew` gives them the attempt of the task, which had ended."""
        again = model("b", invocation_id="renewed", renewed=True)
        in_xcom(server, replace(RUN, invocation_id=known), model("a"), again)
        assert [*resumed(server).records] == ["model.shop.a"]
        in_xcom(server, replace(again, unique_id="model.shop.a"))
        assert "no node ran" in refusal(server)

    def test_nor_are_those_of_another_call_of_dbt(self, server: FakeAirflow) -> None:
        in_xcom(server, RUN, model("a"), model("b", invocation_id="another"))
        assert [*resumed(server).records] == ["model.shop.a"]
        in_xcom(server, replace(RUN, invocation_id=None))
        assert "no node ran" in refusal(server)

    def test_another_environment(self, server: FakeAirflow) -> None:
        in_xcom(server, RUN, model("a"))
        other = {**SURROUNDINGS, "variables": "5"}
        assert "an environment variable" in refusal(server, environment=other)
        in_xcom(server, replace(RUN, environment=None))
        assert "is unknown" in refusal(server)

    def test_another_dag_run(self, server: FakeAirflow) -> None:
        in_xcom(server, replace(RUN, started_at="2025-01-02T03:15:02Z"), model("a"))
        assert "is not Airflow's try 2" in refusal(server)

    def test_an_airflow_that_does_not_tell_the_tries(self, server: FakeAirflow) -> None:
        """The records are of this DAG run all the same, as it would have deleted them."""
        in_xcom(server, RUN, model("a"))
        server.tries = None
        assert [*resumed(server).records] == ["model.shop.a"]

    def test_mapped_siblings_share_the_other_task(self) -> None:
        with FakeAirflow(map_indexes=(0, 1)) as server:
            server.tries = TRIES
            server.tasks["results"] = {-1: {}}
            in_xcom(server, RUN, model("a"))
            assert "--map-index" in refusal(server)

    def test_nothing_at_all(self, server: FakeAirflow) -> None:
        assert resumed(server) is None

    @pytest.mark.parametrize("value", [7, "x", [1], {"a": 1}, None])
    def test_a_wrong_type_is_no_command(self, server: FakeAirflow, value: Any) -> None:
        in_xcom(server, RUN, model("a"))
        server.tasks["results"][-1][RUN.key]["command"] = value
        server.tasks["results"][-1][RUN.key]["environment"] = value
        with pytest.raises(CannotResumeError):
            resumed(server)


class TestJournal:
    def test_a_dag_run_that_was_made_anew(self, server: FakeAirflow) -> None:
        with Journal(None) as journal:
            past = info(server, 2, started_at="2025-01-02T03:15:02Z")
            journal.begin(past).put(model("a"), 0)
            with pytest.raises(CannotResumeError, match="is not Airflow's try 2"):
                previous_attempt(journal, info(server, 3), None, settings(server))

    def test_the_same_one(self, server: FakeAirflow) -> None:
        with Journal(None) as journal:
            journal.begin(info(server, 2)).put(model("a"), 0)
            found = previous_attempt(journal, info(server, 3), None, settings(server))
            assert found is not None
            assert [*found.records] == ["model.shop.a"]

    def test_where_the_attempt_before_ran_elsewhere_xcom_knows_it(
        self, server: FakeAirflow
    ) -> None:
        in_xcom(server, RUN, model("a"))
        with Journal(None) as journal:
            first = info(server, 1, started_at="2026-01-02T03:00:02Z")
            journal.begin(first).put(model("b", 1), 0)
            found = previous_attempt(journal, info(server, 3), settings(server), settings(server))
            assert found is not None
            assert [*found.records] == ["model.shop.a"]
            with pytest.raises(CannotResumeError, match="may have run on a different machine"):
                previous_attempt(journal, info(server, 3), None, settings(server))

    def test_an_airflow_that_does_not_answer_leaves_a_doubt(
        self, server: FakeAirflow, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        impatient = partial(read_attempts, pause=lambda _: None)
        monkeypatch.setattr("dbt_relay.sinks.airflow.attempts.read_attempts", impatient)
        with Journal(None) as journal:
            journal.begin(info(server, 2)).put(model("a"), 0)
            server.read_faults.extend([fake.BAD_GATEWAY] * 4)
            with pytest.raises(CannotResumeError, match="502"):
                previous_attempt(journal, info(server, 3), None, settings(server))
            server.read_faults.extend([fake.RESET] * 3)
            found = previous_attempt(journal, info(server, 3), None, settings(server))
            assert found is not None, "it answers, only not to this"

    def test_one_that_refuses_to_tell(self, server: FakeAirflow) -> None:
        wrong = settings(server, login=Login(token="wrong"))
        with Journal(None) as journal:
            journal.begin(info(server, 2)).put(model("a"), 0)
            with pytest.raises(CannotResumeError, match="does not accept the token"):
                previous_attempt(journal, info(server, 3), None, wrong)


def test_the_command_is_compared_word_by_word(server: FakeAirflow) -> None:
    command = ("dbt", "build", "--vars", "{x: 'a b'}")
    in_xcom(server, replace(RUN, command=shlex.join(command)), model("a"))
    assert resumed(server).command == command
