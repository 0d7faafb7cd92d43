"""Each answer of an Airflow, or of what stands in its place, and what it means."""

from __future__ import annotations

import email.utils
import json
import time
from typing import Any

import pytest

from dbt_relay.records import TaskInstance
from dbt_relay.sinks import Delivered, Hold, Rejected, Retry, Verdict
from dbt_relay.sinks.airflow import AirflowSettings, Login
from dbt_relay.sinks.airflow.api.answers import (
    VALUE_LIMIT,
    Answer,
    Content,
    Exists,
    Method,
    Missing,
    read_answer,
    read_content,
)

TOKEN = "eyJ.secret"
VALUE = "the value that was sent"
TO = AirflowSettings(
    url="https://airflow.example.com",
    task=TaskInstance("mapped_shop", "run+1", "dbt"),
    login=Login(token=TOKEN),
)
PAGE = b"<html>Sign in</html>"
Meaning = Verdict | Exists | Missing


def said(status: int, detail: Any, **more: Any) -> Answer:
    return Answer(status, json.dumps({"detail": detail}).encode(), "application/json", **more)


XCOM = "The XCom with key: `model.mapped_shop.a` with mentioned task instance "
REFUSAL = {"type": "value_error", "loc": ["body"], "msg": "Value error, reserved", "input": VALUE}

ANSWERS: list[tuple[Method, Answer, type[Meaning], str]] = [
    ("POST", Answer(201, b"{}", "application/json"), Delivered, ""),
    ("POST", Answer(201, b"", "Application/JSON; charset=utf-8"), Delivered, ""),
    ("PATCH", Answer(200, b"{}", "application/json"), Delivered, ""),
    ("POST", Answer(200, b"{}", "application/json"), Hold, "DBT_RELAY_AIRFLOW_URL"),
    ("PATCH", Answer(201, b"{}", "application/json"), Hold, "DBT_RELAY_AIRFLOW_URL"),
    ("POST", Answer(201, PAGE, "text/html"), Hold, "DBT_RELAY_AIRFLOW_URL"),
    ("PATCH", Answer(200, PAGE, "text/html"), Hold, "DBT_RELAY_AIRFLOW_URL"),
    ("POST", Answer(204), Hold, "DBT_RELAY_AIRFLOW_URL"),
    ("POST", Answer(302, b"", ""), Hold, "redirected"),
    ("PATCH", Answer(307, b"", ""), Hold, "redirected"),
    ("POST", said(400, "There was an error parsing the body"), Rejected, "error parsing"),
    # nginx, to http:// on its https:// port
    ("POST", Answer(400, PAGE, "text/html"), Hold, "https://"),
    ("POST", Answer(451, PAGE, "text/html"), Hold, "DBT_RELAY_AIRFLOW_URL"),
    ("POST", Answer(500, PAGE, "text/html"), Retry, "answered 500"),
    ("POST", said(401, "Token Expired"), Hold, "does not accept the token (Token Expired)"),
    ("POST", said(401, "Not authenticated"), Hold, "Not authenticated"),
    ("PATCH", Answer(401, PAGE, "text/html"), Hold, "HTTP 401"),
    ("POST", said(403, "Invalid JWT token"), Hold, "Invalid JWT token"),
    ("POST", said(403, "Forbidden"), Hold, "role Op"),
    ("POST", Answer(403, PAGE, "text/html"), Hold, "role Op"),
    ("POST", said(404, "The Dag with ID: `mapped_shop` was not found"), Hold, "--dag-id"),
    ("POST", said(404, "Dag Run with ID: `r` not found for dag: `mapped_shop`"), Hold, "--run-id"),
    ("POST", said(404, "DAG Run with ID: `r` not found"), Hold, "--run-id"),
    (
        "POST",
        said(404, "Task with ID: `t` not found in dag: `mapped_shop`"),
        Hold,
        "--xcom-task-id",
    ),
    ("POST", said(404, "Task instance is mapped, add the map_index"), Hold, "--map-index"),
    ("PATCH", said(404, XCOM + "doesn't exist."), Missing, ""),
    ("POST", Answer(404, b'{"error": "API route not found"}', "application/json"), Hold, "_URL"),
    ("PATCH", Answer(404, PAGE, "text/html"), Hold, "DBT_RELAY_AIRFLOW_URL"),
    ("POST", Answer(404, PAGE, "text/html"), Hold, "answered 404: this is not Airflow's API"),
    ("POST", said(404, "Not Found"), Hold, "older than 3.0"),
    ("POST", said(405, "Method Not Allowed"), Hold, "older than 3.0"),
    ("POST", Answer(407, PAGE, "text/html"), Hold, "--proxy"),
    ("POST", Answer(408), Retry, "408"),
    ("POST", said(409, XCOM + "already exists."), Exists, ""),
    ("PATCH", said(409, "conflict"), Retry, "conflict"),
    ("POST", Answer(413, PAGE, "text/html"), Rejected, "--max-message-bytes"),
    ("POST", said(422, [REFUSAL, REFUSAL]), Rejected, "reserved; Value error"),
    ("POST", said(422, {"reason": "Value rejected by database"}), Rejected, "rejected by database"),
    ("POST", Answer(422, b'{"detail": [{"msg": "cut o', "application/json"), Rejected, "HTTP 422"),
    ("POST", said(429, "slow down"), Retry, "slow down"),
    ("POST", said(500, {"reason": "Database error", "statement": "hidden"}), Retry, "Database"),
    ("POST", Answer(500, b"Internal Server Error", "text/plain"), Retry, "--map-index"),
    ("PATCH", Answer(502, PAGE, "text/html"), Retry, "502"),
    ("PATCH", Answer(503, PAGE, "text/html"), Retry, "503"),
    ("POST", Answer(599, b"", ""), Retry, "599"),
]


@pytest.mark.parametrize(
    ("method", "answer", "kind", "words"), ANSWERS, ids=lambda v: getattr(v, "status", None)
)
def test_what_an_answer_means(
    method: Method, answer: Answer, kind: type[Meaning], words: str
) -> None:
    meaning = read_answer(method, answer, TO)
    assert type(meaning) is kind
    reason = getattr(meaning, "reason", "")
    assert words in reason
    assert TOKEN not in reason
    assert VALUE not in reason
    assert "Sign in" not in reason
    assert "\n" not in reason
    if isinstance(meaning, Hold):
        assert "--" in reason or "DBT_RELAY_" in reason or "role" in reason, "what is to be done?"


@pytest.mark.parametrize(
    "body",
    [b"[]", b"1", b"null", b'"a"', b"{}", b'{"detail": null}', b"\xff", b"[" * 60_000, b""],
)
def test_a_body_that_says_nothing(body: bytes) -> None:
    for status in range(200, 600):
        answer = Answer(status, body, "application/json")
        assert answer.detail == ""
        assert "None" not in getattr(read_answer("POST", answer, TO), "reason", "")


def test_what_airflow_says_is_kept_short() -> None:
    meaning = read_answer("POST", said(422, [{"msg": "long \n " * 500, "input": VALUE}]), TO)
    assert isinstance(meaning, Rejected)
    assert len(meaning.reason) < 400
    assert "\n" not in meaning.reason


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        (" 120 ", 120),
        ("0", 0),
        ("9" * 400, float("inf")),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("²", None),
        ("-1", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("Wed, 21 Oct 99999999999999999999 07:28:00 GMT", None),
    ],
)
def test_retry_after(status: int, header: str | None, seconds: float | None) -> None:
    meaning = read_answer("POST", said(status, "busy", retry_after=header), TO)
    assert isinstance(meaning, Retry)
    assert meaning.after == seconds


def test_retry_after_as_a_date() -> None:
    at = email.utils.formatdate(time.time() + 60, usegmt=True)
    meaning = read_answer("POST", said(429, "busy", retry_after=at), TO)
    assert isinstance(meaning, Retry)
    assert meaning.after == pytest.approx(60, abs=5)


ENTRY = "XCom entry with key: `model.mapped_shop.a` not found"

READ: list[tuple[Answer, Any]] = [
    (Answer(200, b'{"value": 1}', "application/json"), Content({"value": 1})),
    (Answer(200, b"[1]", "application/json"), Content({})),
    (Answer(200, b'{"value": "' + b"x" * VALUE_LIMIT, "application/json"), Content({})),
    (Answer(200, b'{"value": "cut o', "application/json"), (Retry, "in the middle")),
    (Answer(200, b"[" * 60_000, "application/json"), (Retry, "in the middle")),
    (Answer(200, PAGE, "text/html"), (Hold, "DBT_RELAY_AIRFLOW_URL")),
    (Answer(201, b"{}", "application/json"), (Hold, "DBT_RELAY_AIRFLOW_URL")),
    (Answer(302), (Hold, "redirected")),
    (said(401, "Token Expired"), (Hold, "does not accept the token (Token Expired)")),
    (said(403, "Forbidden"), (Hold, "forbids reading XComs, runs or tasks (Forbidden)")),
    (said(404, ENTRY), Missing()),
    (said(404, "Task instance is mapped, add the map_index"), (Hold, "--map-index")),
    (Answer(404, PAGE, "text/html"), (Hold, "DBT_RELAY_AIRFLOW_URL")),
    (said(400, "no"), (Hold, "answered 400 no to a GET")),
    (said(409, "conflict"), (Retry, "conflict")),
    (Answer(413, PAGE, "text/html"), (Hold, "413")),
    (said(422, [REFUSAL]), (Hold, "422 Value error, reserved")),
    (said(429, "slow down"), (Retry, "slow down")),
    (said(500, {"reason": "Database error"}), (Retry, "Database error")),
    (Answer(503, PAGE, "text/html"), (Retry, "503")),
]


@pytest.mark.parametrize(("answer", "expected"), READ, ids=lambda v: getattr(v, "status", ""))
def test_what_an_answer_to_a_read_means(answer: Answer, expected: Any) -> None:
    meaning = read_content(answer, TO)
    if isinstance(expected, tuple):
        kind, words = expected
        assert isinstance(meaning, kind)
        assert words in meaning.reason
        assert TOKEN not in meaning.reason
        assert VALUE not in meaning.reason
    else:
        assert meaning == expected
