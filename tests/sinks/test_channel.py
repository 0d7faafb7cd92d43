"""The relay's end of the channel to an Airflow operator."""

from __future__ import annotations

import json
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest
from support.records import node
from support.settings import TASK

from dbt_relay.records import RunRecord
from dbt_relay.sinks import Delivered, Hold, Rejected, Retry
from dbt_relay.sinks.channel import VARIABLE, Channel, OperatorSink

if TYPE_CHECKING:
    from collections.abc import Iterator

NODE = node("model.shop.a")


class Operator:
    """The other end: answers each push with the next of its `answers`, and keeps what it got."""

    def __init__(self) -> None:
        self.socket, theirs = socket.socketpair()
        self.channel = Channel(theirs.detach())
        self.answers: list[Any] = []
        self.got: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Operator:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()
        self._thread.join()
        self.socket.close()

    def _serve(self) -> None:
        with self.socket.makefile("rb") as lines:
            for line in lines:
                message = json.loads(line)
                self.got.append(message)
                if message.keys() & {"push", "ask"}:
                    if not self.answers:
                        self.socket.shutdown(socket.SHUT_RDWR)
                        return
                    self.socket.sendall(json.dumps(self.answers.pop(0)).encode() + b"\n")


@pytest.fixture
def operator() -> Iterator[Operator]:
    with Operator() as operator:
        yield operator


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ({"verdict": "delivered"}, Delivered()),
        ({"verdict": "retry", "reason": "busy"}, Retry("busy")),
        ({"verdict": "hold", "reason": "no right"}, Hold("no right")),
        ({"verdict": "rejected", "reason": "too big"}, Rejected("too big")),
        ({"verdict": "of a newer one"}, Retry("the operator gave no reason")),
        ([], Hold("the operator that started dbt-relay does not answer any more")),
    ],
)
def test_the_operators_answer_is_the_verdict(
    operator: Operator, answer: Any, verdict: object
) -> None:
    operator.answers = [answer]
    assert OperatorSink(operator.channel, TASK).send(NODE) == verdict
    pushed = operator.got[0]["push"]
    assert pushed == {"key": "model.shop.a", "value": NODE.to_json()}


def test_an_operator_that_is_gone_holds_the_record(operator: Operator) -> None:
    assert isinstance(OperatorSink(operator.channel, TASK).send(NODE), Hold)
    assert isinstance(OperatorSink(operator.channel, TASK).send(NODE), Hold)


def test_the_record_of_a_run_that_has_ended_stays(operator: Operator) -> None:
    sink = OperatorSink(operator.channel, TASK, renews=True)
    assert sink.send(RunRecord(state="running")) == Delivered()
    assert operator.got == []


def test_state_and_try_of_the_task(operator: Operator) -> None:
    operator.answers = [{"state": "failed", "try_number": 2}]
    assert operator.channel.task() == ("failed", 2)
    assert operator.channel.task() is None


@pytest.mark.parametrize("value", [None, "", "x", "-1", "9999"])
def test_without_an_operator_there_is_no_channel(value: str | None) -> None:
    assert Channel.of({} if value is None else {VARIABLE: value}) is None
