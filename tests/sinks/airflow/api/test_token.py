"""Tokens: from where, how long, and that nothing of them is ever shown."""

from __future__ import annotations

import base64
import json
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from support.timing import PATIENCE, Clock

from dbt_relay.sinks import Hold, Retry
from dbt_relay.sinks.airflow import Login
from dbt_relay.sinks.airflow.api import token as login_module
from dbt_relay.sinks.airflow.api.token import Token

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "hunter2"
THREADS = 4


def jwt(**claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.{SECRET}"


def no_exchange(username: str, password: str) -> str:
    raise AssertionError("asked for a token")


def python(code: str) -> str:
    return f"{sys.executable} -c '{code}'"


class Exchange:
    def __init__(self, *tokens: str | Retry | Hold) -> None:
        self.tokens = list(tokens)
        self.asked: list[tuple[str, str]] = []

    def __call__(self, username: str, password: str) -> str | Retry | Hold:
        self.asked.append((username, password))
        return self.tokens.pop(0)


def test_a_jwt_is_renewed_a_minute_before_it_expires() -> None:
    clock = Clock()
    first, second = jwt(exp=1000, n=1), jwt(exp=2000, n=2)
    exchange = Exchange(first, second)
    token = Token(Login(username="u", password="p"), exchange, clock)
    assert token.get() == first
    clock.now = 939.9
    assert token.get() == first
    assert exchange.asked == [("u", "p")]
    clock.now = 940
    assert token.get() == second
    assert exchange.asked == [("u", "p")] * 2


@pytest.mark.parametrize(
    "text",
    [
        "opaque",
        "a.b.c",
        "a.!!.c",
        jwt(),
        jwt(exp=None),
        jwt(exp="soon"),
        jwt(exp=[]),
        jwt(exp=10**400),
        f"a.{base64.urlsafe_b64encode(b'[1]').decode()}.c",
        f"a.{base64.urlsafe_b64encode(bytes([255, 254])).decode()}.c",
    ],
)
def test_a_token_that_tells_no_expiry_is_kept(text: str) -> None:
    exchange = Exchange(text)
    token = Token(Login(username="u", password=""), exchange, lambda: 1e12)
    assert token.get() == token.get() == text
    assert len(exchange.asked) == 1


def test_a_file_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    token = Token(Login(token_file=file), no_exchange)
    assert token.is_renewable
    assert token.get() == "first"
    file.write_text("  second\n")
    assert token.get() == "first", "read only when there is reason to"
    assert token.renew() == "second"
    assert token.get() == "second"


def test_a_given_token_cannot_be_renewed() -> None:
    token = Token(Login(token=SECRET, username="u", password="p"), no_exchange)
    assert token.get() == SECRET
    assert not token.is_renewable


def test_a_command_is_run_again() -> None:
    token = Token(Login(token_command=python("import time; print(time.time_ns())")), no_exchange)
    first = token.get()
    assert isinstance(first, str)
    assert first.isdecimal()
    assert token.get() == first
    assert token.renew() != first


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (python(f'print("{SECRET}"); exit("{SECRET}")'), "exit code 1"),
        (f"/no/such/program {SECRET}", "No such file"),
        (f"'{SECRET}", "not a command line"),
        ("  ", "not a command line"),
        (python(f'print("{SECRET} {SECRET}")'), "blanks"),
        (python(f'print("{SECRET}"); print("{SECRET}")'), "line breaks"),
        (python('import os; os.write(1, b"\\xff\\xfe")'), "DBT_RELAY_AIRFLOW_TOKEN"),
        (python("pass"), "empty"),
    ],
)
def test_a_command_that_fails_says_so_without_a_word_of_its_own(command: str, reason: str) -> None:
    verdict = Token(Login(token_command=command), no_exchange).get()
    assert isinstance(verdict, Hold)
    assert reason in verdict.reason
    assert "DBT_RELAY_AIRFLOW_TOKEN" in verdict.reason
    assert SECRET not in verdict.reason


def test_a_command_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_module, "_COMMAND_TIMEOUT", 0.2)
    verdict = Token(Login(token_command=python("import time; time.sleep(60)")), no_exchange).get()
    assert isinstance(verdict, Hold)
    assert "did not end within 0.2 s" in verdict.reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file"), (b"\xff\xfe", "not text"), (b"\n", "empty"), (b"a b", "blanks")],
)
def test_a_file_that_holds_no_token(tmp_path: Path, content: bytes | None, reason: str) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    verdict = Token(Login(token_file=file), no_exchange).get()
    assert isinstance(verdict, Hold)
    assert reason in verdict.reason


@pytest.mark.parametrize("verdict", [Retry("down"), Hold("wrong password")])
def test_why_there_is_no_token_is_passed_on(verdict: Retry | Hold) -> None:
    exchange = Exchange(verdict, "token")
    token = Token(Login(username="u", password="p"), exchange)
    assert token.get() == verdict
    assert token.get() == "token"


def test_no_credentials_at_all() -> None:
    verdict = Token(Login(username="u"), no_exchange).get()
    assert isinstance(verdict, Hold)
    assert "DBT_RELAY_AIRFLOW_TOKEN" in verdict.reason


def test_secrets_are_not_in_the_repr() -> None:
    login = Login(token=SECRET, token_command=f"vault {SECRET}", username="u", password=SECRET)
    assert SECRET not in repr(login)


def test_threads_whose_token_is_refused_at_the_same_time_log_in_once() -> None:
    asked: list[str] = []
    together = threading.Barrier(THREADS)

    def exchange(username: str, _: str) -> str:
        asked.append(username)
        return f"token-{len(asked)}"

    token = Token(Login(username="u", password="p"), exchange)
    got: list[object] = []

    def worker() -> None:
        bearer = token.get()
        assert isinstance(bearer, str)
        together.wait(PATIENCE)
        got.append(token.renew(bearer))

    threads = [threading.Thread(target=worker) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert got == ["token-2"] * THREADS
    assert asked == ["u", "u"]


def test_a_token_with_a_minute_to_live_is_used_for_most_of_it() -> None:
    clock, asked = Clock(), []

    def exchange(*_: str) -> str:
        asked.append(clock.now)
        return jwt(exp=clock.now + 60)

    token = Token(Login(username="u", password="p"), exchange, clock)
    for clock.now in (0.0, 10.0, 53.9, 54.0, 60.0):
        token.get()
    assert asked == [0.0, 54.0]
