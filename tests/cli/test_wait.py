"""When `dbt-relay wait` looks, and how often."""

from __future__ import annotations

from typing import Any

import pytest
from support.records import node

from dbt_relay.cli.settings import AirflowAccess, ConfigurationError, Connection, Place
from dbt_relay.cli.waiting import Wait, WaitSettings
from dbt_relay.records import TaskInstance
from dbt_relay.records.schema import RunRecord
from dbt_relay.sinks import Hold, Retry
from dbt_relay.sinks.airflow import AirflowSettings, Login
from dbt_relay.sinks.airflow.reading import UnreadError

UID = "model.jaffle.orders"
SETTINGS = AirflowSettings(
    url="http://127.0.0.1:1", task=TaskInstance("shop", "r", "dbt"), login=Login(token="t")
)
ACCESS = AirflowAccess(Place("shop", "r", "dbt"), Connection())


class Watch:
    """What is read, look by look: a state, or why there is none. Time passes by sleeping only."""

    def __init__(self, *looks: str | Retry | Hold) -> None:
        self.looks = list(looks)
        self.now = 0.0
        self.pauses: list[float] = []

    def state(self, _: object = None) -> str | None:
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(look, (Retry, Hold)):
            raise UnreadError(look)
        self.its_state = look
        return look

    def try_number(self, _: object = None) -> int:
        return 1

    def xcom(self, _: object, key: str) -> Any:
        if self.its_state != "success":
            return None
        if key == RunRecord.key:
            return RunRecord(state="finished", exit_code=0, attempt=1).to_json()
        return node(UID, attempt=1).to_json()

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def waiting(watch: Watch, **options: Any) -> Wait:
    return Wait(
        watch,  # type: ignore[arg-type]
        SETTINGS,
        (UID,),
        WaitSettings(ACCESS, **options),
        clock=lambda: watch.now,
        sleep=watch.sleep,
    )


def test_looks_are_spread_around_the_interval(capsys: pytest.CaptureFixture[str]) -> None:
    watch = Watch(*["running"] * 50, "success")
    decision = waiting(watch).decision()
    assert decision is not None
    assert decision.action == "success"
    assert len(watch.pauses) == 50
    assert all(8 <= pause <= 12 for pause in watch.pauses)
    assert len(set(watch.pauses)) > 10
    printed = capsys.readouterr()
    assert printed.out.count("OK created") == 1
    assert len(printed.err.splitlines()) == 1


def test_a_busy_airflow_is_left_alone_for_as_long_as_it_asks() -> None:
    watch = Watch(Retry("busy", 45.0), Retry("busy"), "success")
    assert waiting(watch).decision() is not None
    assert watch.pauses[0] == 45.0
    assert 8 <= watch.pauses[1] <= 12


def test_the_last_look_is_when_the_time_is_up() -> None:
    watch = Watch("running")
    assert waiting(watch, timeout=25.0).decision() is None
    assert watch.now == 25.0


def test_what_no_waiting_mends_ends_it() -> None:
    watch = Watch("running", Hold("the token is not accepted"))
    with pytest.raises(ConfigurationError, match="the token is not accepted"):
        waiting(watch).decision()
