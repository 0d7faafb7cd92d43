"""An Airflow that refuses now and then what it takes otherwise: all arrives, in one flush."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support import airflow_faults as fake
from support.fake_airflow import PASSWORDS, FakeAirflow
from support.journals import deliver
from support.records import node
from support.timing import within

from dbt_relay.records import TaskInstance
from dbt_relay.records.schema import NodeRecord, RunRecord
from dbt_relay.sinks.airflow import AirflowSettings, Login
from dbt_relay.sinks.airflow.sink import AirflowSink

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.fake_airflow import Fault

    from .conftest import Relay

    MakeRelay = Callable[..., Relay]

PROXY_404 = fake.answering(404, fake.PAGE)
PROXY_403 = fake.answering(403, fake.PAGE)
PROXY_401 = fake.answering(401, fake.PAGE)
NO_RUN = fake.answering(404, fake.detail("Dag Run with ID: `run+1` not found for dag: `shop`"))
REFUSALS = (
    fake.EXPIRED,
    fake.INVALID_TOKEN,
    fake.FORBIDDEN,
    NO_RUN,
    PROXY_401,
    PROXY_403,
    PROXY_404,
    fake.LOGIN_PAGE,
    fake.REDIRECT,
    fake.answering(405, fake.PAGE),
    fake.answering(418, fake.PAGE),
)
KINDS = {
    "401": (fake.EXPIRED,),
    "403": (fake.FORBIDDEN,),
    "404": (PROXY_404,),
    "page": (fake.LOGIN_PAGE,),
    "any": REFUSALS,
    "any, and 5xx": (*REFUSALS, fake.BAD_GATEWAY, fake.UNAVAILABLE),
}
LOGINS = {
    "token": Login(token="op-0"),
    "password": Login(username="op", password=PASSWORDS["op"]),
}


def record(number: int, attempt: int | None = None) -> NodeRecord:
    return node(f"model.shop.n{number}", attempt=attempt)


def now_and_then(share: float, kinds: tuple[Fault, ...], seed: int) -> list[Fault | None]:
    """For each request to come one of these faults, or none. The first gets none."""
    chance = random.Random(seed)
    drawn = [chance.choice(kinds) if chance.random() < share else None for _ in range(5000)]
    return [None, *drawn]


def sink_to(server: FakeAirflow, login: Login) -> AirflowSink:
    to = AirflowSettings(url=server.url, task=TaskInstance("shop", "run+1", "dbt"), login=login)
    return AirflowSink(to, lambda _: None)


@pytest.mark.parametrize(
    ("kinds", "share", "workers", "login", "attempt"),
    [
        *[(kinds, 0.3, 1, "token", None) for kinds in KINDS],
        ("any", 0.03, 1, "token", 1),
        ("401", 0.03, 1, "password", 1),
        ("401", 0.3, 1, "password", 1),
        ("any", 0.3, 1, "token", 1),
        ("any, and 5xx", 0.3, 4, "password", 1),
    ],
)
def test_all_records_arrive_in_one_flush(
    kinds: str, share: float, workers: int, login: str, attempt: int | None
) -> None:
    truth = {f"model.shop.n{n}": record(n, attempt).to_json() for n in range(200)}
    with FakeAirflow(now_and_then(share, KINDS[kinds], 1)) as server:
        server.read_faults.extend(now_and_then(share, KINDS[kinds], 2))
        with deliver([sink_to(server, LOGINS[login])], workers=workers) as delivery:
            for number in range(200):
                delivery.put(record(number, attempt))
            delivery.flush(30)
            assert delivery.figures()[0].is_complete, delivery.figures()
        assert server.xcoms[-1] == truth


def test_a_login_that_fails_now_and_then(relay: MakeRelay) -> None:
    with FakeAirflow() as server:
        made = relay(server.url)
        made.settle(server, record(0))
        for number in range(1, 20):
            server.expire_tokens()
            server.other_faults.extend([PROXY_404, fake.answering(401, fake.detail("no"))])
            made.send([record(number)])
        assert len(server.xcoms[-1]) == 20


@pytest.mark.parametrize("fault", REFUSALS, ids=lambda fault: str(fault.answer.status))
def test_what_is_said_of_a_token_that_works_is_true(relay: MakeRelay, fault: Fault) -> None:
    """The flush ends in the middle: what was answered is said, and nobody is sent to renew."""
    with FakeAirflow([None, fault, fault]) as server:
        made = relay(server.url, Login(token="op-0"))
        made.settle(server, record(0))
        made.delivery.put(record(1))
        made.wait_until_tried()
        (reason,) = made.delivery.figures()[0].waiting.values() or [""]
        if reason:
            assert f"answered {fault.answer.status}" in reason
            assert "DBT_RELAY" not in reason
            assert "role" not in reason


def test_what_was_concluded_of_a_token_that_works_after_all_is_taken_back(
    relay: MakeRelay,
) -> None:
    with FakeAirflow([fake.FORBIDDEN]) as server:
        made = relay(server.url, Login(token="op-0"))
        made.delivery.put(record(0))
        made.wait_until_tried()
        assert "role Op" in str(made.delivery.figures()[0].waiting)
        server.faults.extend([None, *[fake.STALL] * 50])
        figures = made.send([record(1), record(2)], timeout=1)
        assert figures.delivered == 1
        assert "role Op" not in str(figures.waiting)


@pytest.mark.parametrize("fault", REFUSALS, ids=lambda fault: str(fault.answer.status))
def test_what_is_refused_for_good_is_a_persons_turn(relay: MakeRelay, fault: Fault) -> None:
    """After several in a row; the flush asks again until its end, and no faster."""
    with FakeAirflow([None, *[fault] * 1000]) as server:
        made = relay(server.url, Login(token="op-0"))
        made.settle(server, record(0))
        began_at = time.monotonic()
        with within(server.patience / 2):
            figures = made.send([record(1), record(2)], timeout=1.0)
        assert time.monotonic() - began_at > 0.9
        (reason,) = set(figures.waiting.values())
        assert any(word in reason for word in ("DBT_RELAY", "role Op", "--run-id"))
        # The fixture's pauses are of 0.01 s, also those of 1 to 2 s.
        assert len(server.requests) > 8


@pytest.mark.parametrize("fault", [fake.FORBIDDEN, fake.INVALID_TOKEN, fake.EXPIRED, NO_RUN])
def test_a_mistake_of_the_first_hour_is_told_at_once(relay: MakeRelay, fault: Fault) -> None:
    with FakeAirflow([fault] * 1000) as server:
        made = relay(server.url, Login(token="op-0"))
        with within(30):
            figures = made.send([record(0), record(1)], timeout=60)
        assert len(figures.waiting) == 2
        assert len(server.requests) <= 3


@pytest.mark.parametrize("fault", [PROXY_404, PROXY_403, fake.LOGIN_PAGE, fake.REDIRECT])
def test_a_proxys_page_may_pass_even_if_nothing_has_worked_yet(
    relay: MakeRelay, fault: Fault
) -> None:
    """An Airflow that is being deployed anew; the fixture's pauses are short."""
    with FakeAirflow([fault] * 20) as server:
        made = relay(server.url, Login(token="op-0"))
        made.settle(server, record(0), record(1))


def test_a_try_that_airflow_told_once_is_asked_for_until_it_tells_again() -> None:
    """A look that fails must not let a late record pass."""
    with FakeAirflow() as server:
        with deliver([sink_to(server, Login(token="op-0"))]) as delivery:
            delivery.put(record(0, attempt=1))
            delivery.flush(5)
            server.retry()
            server.read_faults.extend([fake.BAD_GATEWAY, fake.FORBIDDEN, PROXY_404])
            time.sleep(0.3)  # how long the answer before is believed
            delivery.put(record(1, attempt=1))
            delivery.flush(20)
            (reason,) = delivery.figures()[0].rejected.values()
            assert "attempt 1 is over" in reason
        assert server.xcoms == {-1: {}}


@pytest.mark.parametrize("fault", REFUSALS, ids=lambda fault: str(fault.answer.status))
@pytest.mark.parametrize("way", ["read_faults", "other_faults"])
def test_a_note_that_is_refused_now_and_then_is_written(
    relay: MakeRelay, fault: Fault, way: str
) -> None:
    with FakeAirflow() as server:
        made = relay(server.url, Login(token="op-0"))
        made.settle(server, record(0))
        getattr(server, way).extend([fault] * 3)
        said = made.sink.note.write(lambda _: "ours", attempt=1, timeout=5)
        assert (said, server.notes) == (None, {-1: "ours"})


def test_a_note_that_is_forbidden_is_given_up_soon(relay: MakeRelay) -> None:
    with FakeAirflow() as server:
        made = relay(server.url, Login(token="op-0"))
        made.settle(server, record(0))
        server.other_faults.extend([fake.FORBIDDEN] * 100)
        with within(30):
            said = made.sink.note.write(lambda _: "ours", attempt=1, timeout=60)
        assert "give the user the role Op" in (said or "")


def test_a_token_file_that_is_being_renewed(relay: MakeRelay, tmp_path: Path) -> None:
    """Somebody deletes it, and writes the new one a moment later."""
    file = tmp_path / "token"
    file.write_text("op-0")
    with FakeAirflow() as server:
        made = relay(server.url, Login(token_file=file))
        made.settle(server, record(0))
        server.expire_tokens()
        file.unlink()
        made.delivery.put(record(1))
        made.wait_until_tried()
        server.valid["op-1"] = "op"
        file.write_text("op-1")
        made.settle(server, record(0), record(1))


def test_the_runs_own_record_goes_first_once_the_server_is_back(relay: MakeRelay) -> None:
    with FakeAirflow([fake.UNAVAILABLE] * 4) as server:
        made = relay(server.url, Login(token="op-0"))
        nodes = [replace(record(n), outcome="failure", status="error") for n in range(30)]
        figures = made.send([*nodes, RunRecord(state="finished")])
        assert figures.is_complete
        written = [r.key for r in server.requests if r.has_written]
        assert RunRecord.key in written[:3]
