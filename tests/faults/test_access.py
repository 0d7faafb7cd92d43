"""Getting in: the token, the place in Airflow, the connection, and what is said where it fails."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

import pytest
from support import airflow_faults as fake
from support.fake_airflow import PASSWORDS, FakeAirflow
from support.records import node

from dbt_relay.records.schema import NodeRecord
from dbt_relay.sinks.airflow import Login

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Relay

    MakeRelay = Callable[..., Relay]

KEY = "model.shop.a"


def success(key: str = KEY) -> NodeRecord:
    return node(key, message="SELECT 42")


def logins(server: FakeAirflow) -> int:
    return sum(request.path == "/auth/token" for request in server.requests)


class TestToken:
    def test_is_renewed_once_when_it_has_expired(self, relay: MakeRelay) -> None:
        with FakeAirflow() as server:
            made = relay(server.url)
            made.settle(server, success())
            server.expire_tokens()
            records = [success(f"model.shop.n{number}") for number in range(5)]
            made.settle(server, success(), *records)
            assert logins(server) == 2
            assert [r.status for r in server.requests].count(401) == 1

    def test_is_read_again_from_its_file(self, relay: MakeRelay, tmp_path: Path) -> None:
        file = tmp_path / "token"
        file.write_text("stale\n")
        with FakeAirflow() as server:
            made = relay(server.url, Login(token_file=file))
            figures = made.send([success()])
            assert "Invalid JWT token" in figures.waiting[KEY]
            file.write_text("op-0\n")
            made.settle(server, success())
            assert logins(server) == 0

    def test_comes_from_a_command(self, relay: MakeRelay) -> None:
        with FakeAirflow() as server:
            login = Login(token_command=f"{sys.executable} -c 'print(\"op-0\")'")
            relay(server.url, login).settle(server, success())
            assert {r.token for r in server.requests if r.key} == {"op-0"}

    def test_that_was_given_and_is_not_accepted(self, relay: MakeRelay) -> None:
        with FakeAirflow() as server:
            made = relay(server.url, Login(token="wrong-token"))
            figures = made.send([success()])
            assert server.writes() == {KEY: ["POST"]}, "no use to try the same again"
            assert "DBT_RELAY_AIRFLOW_TOKEN" in figures.waiting[KEY]
            assert "wrong-token" not in figures.waiting[KEY]

    def test_of_a_user_who_may_not_write(self, relay: MakeRelay) -> None:
        with FakeAirflow() as server:
            login = Login(username="viewer", password=PASSWORDS["viewer"])
            made = relay(server.url, login)
            figures = made.send([success()])
            assert "role Op" in figures.waiting[KEY]
            made.assert_nothing_leaks(figures, server)

    def test_that_a_wrong_password_does_not_get(self, relay: MakeRelay) -> None:
        with FakeAirflow() as server:
            made = relay(server.url, Login(username="op", password="wrong-password"))
            figures = made.send([success()])
            assert "Invalid credentials" in figures.waiting[KEY]
            assert "DBT_RELAY_AIRFLOW_USERNAME" in figures.waiting[KEY]
            assert "wrong-password" not in figures.waiting[KEY]
            assert server.writes() == {}


class TestPlace:
    @pytest.mark.parametrize(
        ("wrong", "option"),
        [
            ({"dag_id": "nodag"}, "--dag-id"),
            ({"run_id": "norun"}, "--run-id"),
            ({"task_id": "notask"}, "--xcom-task-id"),
            ({"map_index": 2}, "--map-index"),
        ],
    )
    def test_that_does_not_exist(
        self, relay: MakeRelay, wrong: dict[str, str | int], option: str
    ) -> None:
        with FakeAirflow() as server:
            figures = relay(server.url, **wrong).send([success()], timeout=0.3)
            assert option in figures.waiting[KEY]
            assert str(*wrong.values()) in figures.waiting[KEY]

    @pytest.mark.parametrize(
        ("version", "word"),
        [("3.0.6", "JSON text"), ("3.1.8", "JSON text"), ("2.11.0", "3.0 or newer")],
    )
    def test_an_older_airflow_is_named_once(
        self, relay: MakeRelay, version: str, word: str
    ) -> None:
        with FakeAirflow([fake.BAD_GATEWAY], version=version) as server:
            made = relay(server.url)
            for number in range(3):
                made.send([success(f"model.shop.n{number}")])
            assert len(made.warnings) == 1
            assert version in made.warnings[0]
            assert word in made.warnings[0]

    def test_an_older_airflow_that_is_down_at_first_is_named_too(self, relay: MakeRelay) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        made = relay(f"http://127.0.0.1:{port}", Login(token="op-0"))
        made.send([success()], timeout=0.2)
        with FakeAirflow(port=port, version="3.0.6") as server:
            made.settle(server, success())
            assert len(made.warnings) == 1

    def test_a_current_airflow_needs_no_word(self, relay: MakeRelay) -> None:
        with FakeAirflow(version="3.10.0") as server:
            made = relay(server.url)
            made.send([success()])
            assert made.warnings == []


class TestConnection:
    def test_refused_until_the_server_is_up(self, relay: MakeRelay) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        made = relay(f"http://127.0.0.1:{port}")
        figures = made.send([success(), success("model.shop.b")], timeout=0.3)
        assert figures.waiting.keys() == {KEY, "model.shop.b"}
        assert "cannot be reached" in figures.waiting[KEY]
        assert made.pauses[:4] == [0.5, 1, 2, 4]
        with FakeAirflow(port=port) as server:
            assert made.send([]).delivered == 2
            assert server.writes() == {KEY: ["POST"], "model.shop.b": ["POST"]}

    def test_tls_to_a_port_without(self, server: FakeAirflow, relay: MakeRelay) -> None:
        made = relay(server.url.replace("http:", "https:"))
        figures = made.send([success()])
        assert "begin with http://" in figures.waiting[KEY]

    def test_a_host_that_does_not_resolve(self, relay: MakeRelay) -> None:
        made = relay("http://airflow.invalid", Login(token="t"))
        figures = made.send([success()], timeout=0.3)
        assert "does not resolve" in figures.waiting[KEY]

    def test_a_proxy_that_is_down(self, relay: MakeRelay) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        made = relay("http://airflow.invalid", Login(token="t"), proxy=f"http://127.0.0.1:{port}")
        figures = made.send([success()], timeout=0.3)
        assert "--proxy" in figures.waiting[KEY]

    def test_a_ca_file_that_is_missing(
        self, server: FakeAirflow, relay: MakeRelay, tmp_path: Path
    ) -> None:
        url = server.url.replace("http:", "https:")
        made = relay(url, Login(token="t"), ca_file=tmp_path / "missing.pem")
        figures = made.send([success()], timeout=0.3)
        assert "--ca-file" in figures.waiting[KEY]
