"""`dbt-relay doctor` against a real Airflow: what it says, and that it leaves no XCom behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .airflow import Airflow


@pytest.fixture(scope="module")
def run_id(airflow: Airflow) -> str:
    run_id, state = airflow.run("command", {"command": "echo done"})
    assert state == "success"
    return run_id


def doctor(airflow: Airflow, run_id: str, *options: str, user: str = "user") -> tuple[int, str]:
    place = ["--dag-id", "command", "--run-id", run_id, "--task-id", "dbt", *options]
    done = airflow.relay("doctor", "--sink", "airflow", *place, user=user)
    assert done.stderr == ""
    assert not [word for word in airflow.server.passwords.values() if word in done.stdout]
    return done.returncode, done.stdout


def test_all_is_well_for_the_role_user(airflow: Airflow, run_id: str) -> None:
    before = airflow.xcom_keys("command", run_id, "dbt")
    code, said = doctor(airflow, run_id, "--xcom-task-id", "results")
    assert code == 0, said
    assert {line[:4] for line in said.splitlines()} == {"ok  "}, said
    for words in (
        "Airflow 3.",
        "the clock agrees",
        "the token is valid for 23 h",
        "may be read, created and edited",
        f"run '{run_id}' of DAG 'command' is success",
        "task 'dbt' is at try 1, success",
        "task 'results' is at try 1, success",
    ):
        assert words in said
    assert airflow.xcom_keys("command", run_id, "dbt") == before
    assert airflow.xcom_keys("command", run_id, "results") == set()


def test_a_viewer_is_told_the_role_that_it_takes(airflow: Airflow, run_id: str) -> None:
    code, said = doctor(airflow, run_id, user="viewer")
    assert code == 78, said
    (failure,) = [line for line in said.splitlines() if line.startswith("FAIL")]
    assert "forbids writing XComs (Forbidden)" in failure
    assert "give the user the role Op" in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--run-id", "norun"], "Airflow has no run 'norun' of DAG 'command'"),
        (["--dag-id", "nodag"], "Airflow has no DAG 'nodag'"),
        (["--task-id", "notask"], "Airflow has no task 'notask' in that run"),
        (["--xcom-task-id", "notask"], "Airflow has no task 'notask' in that run"),
        (["--map-index", "3"], "Airflow has no task 'dbt' with map index 3"),
    ],
)
def test_a_place_that_does_not_exist(
    airflow: Airflow, run_id: str, options: list[str], words: str
) -> None:
    code, said = doctor(airflow, run_id, *options)
    assert code == 78, said
    assert said.count("FAIL") == 1, said
    assert words in said
    assert options[0] in said


@pytest.mark.parametrize(("user", "code"), [("user", 0), ("viewer", 78)])
def test_the_permission_without_any_ids(airflow: Airflow, user: str, code: int) -> None:
    done = airflow.relay("doctor", user=user)
    assert done.returncode == code, done.stdout
    if code:
        assert "forbids writing XComs (Forbidden)" in done.stdout
    else:
        assert "XComs may be read, created and edited (tried with DAG '" in done.stdout
    assert "DAG and run and task: not set, so not checked" in done.stdout


def test_a_wrong_password(airflow: Airflow, run_id: str) -> None:
    airflow.server.passwords["nobody"] = "not-the-password"
    code, said = doctor(airflow, run_id, user="nobody")
    assert code == 78
    assert "does not accept this user name and password (Invalid credentials)" in said
