"""What a read makes of answers, and when it asks again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from dbt_relay.records import TaskInstance
from dbt_relay.sinks import Hold, Retry
from dbt_relay.sinks.airflow import AirflowSettings, Login
from dbt_relay.sinks.airflow.api.answers import Answer, Content, Missing
from dbt_relay.sinks.airflow.api.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence

TO = AirflowSettings("http://a", TaskInstance("d", "r", "t"), Login(token="t"))
FOUND = Answer(200, b'{"value": 1}', "application/json")
ABSENT = Answer(404, b'{"detail": "XCom entry with key: `a` not found"}', "application/json")
FORBIDDEN = Answer(403, b'{"detail": "Forbidden"}', "application/json")
PAGE = Answer(502, b"<html>", "text/html")
NO_API = Answer(404, b"<html>", "text/html")
NO_ANSWER = Retry("the connection broke off")


class Scripted(Session):
    """Is answered from a list."""

    def __init__(self, *answers: Answer | Retry | Hold) -> None:
        self.pauses: list[float] = []
        super().__init__(TO, self.pauses.append)
        self.answers = list(answers)

    def ask(self, request: object) -> Answer | Retry | Hold:
        return self.answers.pop(0)


def read(session: Session, times: int = 1) -> Content | Missing | Retry | Hold:
    return session.read(lambda client, token: client.xcom("a", token), times=times)


def test_the_four_meanings() -> None:
    assert read(Scripted(FOUND)) == Content({"value": 1})
    assert read(Scripted(ABSENT)) == Missing()
    assert isinstance(read(Scripted(PAGE)), Retry)
    assert isinstance(read(Scripted(FORBIDDEN)), Hold)
    assert read(Scripted(NO_ANSWER)) is NO_ANSWER


def test_other_words() -> None:
    def understand(answer: Answer, _: AirflowSettings) -> Any:
        return json.loads(answer.body)["value"]

    assert Scripted(FOUND).read(lambda client, token: client.dags(token), understand) == 1
    refused = Scripted(NO_ANSWER).read(lambda client, token: client.dags(token), understand)
    assert refused is NO_ANSWER


@pytest.mark.parametrize(
    ("answers", "pauses"),
    [
        ([NO_ANSWER, PAGE, FOUND], [1, 2]),
        ([NO_API, NO_API, FOUND], [1, 2]),  # an Airflow that is being deployed anew
        ([Retry("busy", 2.5), FOUND], [2.5]),
        ([Retry("busy", 300), FOUND], [5]),
    ],
)
def test_trouble_that_passes(
    answers: Sequence[Answer | Retry | Hold], pauses: Sequence[float]
) -> None:
    session = Scripted(*answers)
    assert read(session, times=3) == Content({"value": 1})
    assert session.pauses == pauses


def test_trouble_that_stays() -> None:
    session = Scripted(PAGE, PAGE, PAGE, FOUND)
    assert isinstance(read(session, times=3), Retry)
    assert session.pauses == [1, 2]


def test_a_refusal_is_believed_until_airflow_has_told_something() -> None:
    session = Scripted(FORBIDDEN, FOUND, FORBIDDEN, FOUND)
    assert isinstance(read(session, times=3), Hold)
    assert read(session, times=3) == Content({"value": 1})
    assert session.pauses == []
    assert read(session, times=3) == Content({"value": 1})
    assert session.pauses == [1]
