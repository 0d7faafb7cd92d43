"""The note of the task: written beside what a person wrote, and given up in time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from support import airflow_faults as fake
from support.fake_airflow import PASSWORDS, FakeAirflow

from dbt_relay.sinks.airflow import Login

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Relay

    MakeRelay = Callable[..., Relay]

FAULTS = [fake.UNAVAILABLE, fake.RESET, fake.CRASHED, fake.TOO_MANY]


def write(relay: Relay, text: str = "ours", attempt: int | None = 1, timeout: float = 5) -> str:
    def compose(there: str) -> str | None:
        return None if there == "full" else f"{there}{text}"

    return relay.sink.note.write(compose, attempt=attempt, timeout=timeout) or "written"


def test_is_made_of_the_note_that_is_there(relay: MakeRelay) -> None:
    with FakeAirflow() as server:
        made = relay(server.url)
        assert write(made) == "written"
        assert write(made, " again") == "written"
        assert server.notes == {-1: "ours again"}
        server.notes[-1] = "full"
        assert "leaves no space" in write(made)
        assert server.notes == {-1: "full"}


def test_goes_to_the_task_that_runs_dbt(relay: MakeRelay) -> None:
    with FakeAirflow(map_indexes=(0, 1)) as server:
        assert write(relay(server.url, map_index=1, xcom_task_id="results")) == "written"
        assert server.notes == {1: "ours"}
        assert "--map-index" in write(relay(server.url))
        assert "--map-index" in write(relay(server.url, map_index=7))
        assert "--task-id" in write(relay(server.url, map_index=1, task_id="nope"))
        assert server.notes == {1: "ours"}


def test_is_not_written_over_that_of_a_later_try(relay: MakeRelay) -> None:
    with FakeAirflow() as server:
        server.retry()
        assert "at try 2" in write(relay(server.url))
        assert server.notes == {}
        assert write(relay(server.url), attempt=2) == "written"


def test_what_no_database_takes_is_replaced(relay: MakeRelay) -> None:
    with FakeAirflow() as server:
        assert write(relay(server.url), "a\0b\ud800") == "written"
        assert json.dumps(server.notes[-1]) == json.dumps("a\ufffdb\ufffd")


@pytest.mark.parametrize("way", ["read_faults", "other_faults"])
@pytest.mark.parametrize("fault", FAULTS)
def test_what_may_pass_is_tried_again(
    relay: MakeRelay, monkeypatch: pytest.MonkeyPatch, way: str, fault: fake.Fault
) -> None:
    monkeypatch.setattr("dbt_relay.sinks.airflow.note._PAUSE", 0.01)
    with FakeAirflow() as server:
        getattr(server, way).extend([fault, fault])
        assert write(relay(server.url, Login(token="op-0"))) == "written"
        assert server.notes == {-1: "ours"}


def test_a_server_that_stays_away_is_given_up(relay: MakeRelay) -> None:
    with FakeAirflow() as server:
        server.other_faults.extend([fake.UNAVAILABLE] * 100)
        assert "answered 503" in write(relay(server.url, Login(token="op-0")), timeout=2)
        assert server.notes == {}


def test_a_request_that_hangs_is_not_waited_for(relay: MakeRelay) -> None:
    with FakeAirflow() as server:
        server.read_faults.append(fake.STALL)
        made = relay(server.url, Login(token="op-0"), read_timeout=2, answer_timeout=2)
        assert "did not answer within 0.1 s" in write(made, timeout=0.1)
        assert server.notes == {}


def test_a_user_who_may_not_is_told_the_role(relay: MakeRelay) -> None:
    with FakeAirflow() as server:
        login = Login(username="viewer", password=PASSWORDS["viewer"])
        said = write(relay(server.url, login))
        assert "forbids it (Forbidden): give the user the role Op" in said
        assert server.notes == {}
