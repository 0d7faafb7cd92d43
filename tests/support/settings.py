"""Settings for the tests' Airflow, with time-outs short enough for tests."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from dbt_relay.records import TaskInstance
from dbt_relay.sinks.airflow import AirflowSettings, Login

if TYPE_CHECKING:
    from support.fake_airflow import FakeAirflow

TASK = TaskInstance("shop", "run+1", "dbt")
"""The task of `FakeAirflow` that runs dbt."""

IDS = {field.name for field in fields(TaskInstance)}


def airflow_at(url: str, **more: Any) -> AirflowSettings:
    """Settings that reach `url` with a token for TASK; an id among `more` changes the task."""
    ids = {name: more.pop(name) for name in IDS & more.keys()}
    known = {"login": Login(token="op-0"), "task": replace(TASK, **ids), **more}
    return AirflowSettings(
        url=url, **{"connect_timeout": 1, "read_timeout": 0.3, "answer_timeout": 0.4, **known}
    )


def settings(server: FakeAirflow, **more: Any) -> AirflowSettings:
    """Settings that reach the server; see `airflow_at`."""
    return airflow_at(server.url, **more)
