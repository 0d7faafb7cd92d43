"""Late records and records read back, against what a real Airflow answers."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dbt_relay.records import TaskInstance
from dbt_relay.records.schema import NodeRecord, Record
from dbt_relay.sinks import Delivered, Rejected, Retry
from dbt_relay.sinks.airflow import AirflowSettings, Login
from dbt_relay.sinks.airflow.reading import read_records
from dbt_relay.sinks.airflow.sink import AirflowSink

if TYPE_CHECKING:
    from .airflow import Airflow

FIRST = NodeRecord(unique_id="model.jaffle.a", status="error", outcome="failure", attempt=1)
SECOND = replace(FIRST, status="success", outcome="success", attempt=2, message='é "quoted" \n')


@pytest.fixture(scope="module")
def settings(airflow: Airflow) -> AirflowSettings:
    """Of a task that failed twice, and has been cleared once by that."""
    run_id, state = airflow.run("command_twice", {"command": "exit 1"})
    assert state == "failed"
    return AirflowSettings(
        url=airflow.server.url,
        task=TaskInstance("command_twice", run_id, "dbt"),
        login=Login(username="user", password=airflow.server.passwords["user"]),
    )


def sent(settings: AirflowSettings, record: Record) -> tuple[object, int]:
    """What became of the record, and in how many writes."""
    sink = AirflowSink(settings, lambda _: None)
    try:
        for _ in range(4):
            verdict = sink.send(record)
            if not isinstance(verdict, Retry):  # SQLite was locked
                break
        return verdict, sink.writer.writes
    finally:
        sink.close()


def test_a_record_of_a_try_that_is_over(airflow: Airflow, settings: AirflowSettings) -> None:
    verdict, writes = sent(settings, FIRST)
    assert isinstance(verdict, Rejected)
    assert "attempt 1 is over: Airflow is at try 2 of task 'dbt'" in verdict.reason
    assert writes == 0
    assert airflow.xcom_keys("command_twice", settings.task.run_id, "dbt") == set()


def test_what_is_there_is_looked_at(airflow: Airflow, settings: AirflowSettings) -> None:
    assert isinstance(sent(settings, SECOND)[0], Delivered)
    before = airflow.audit("command_twice", settings.task.run_id)
    assert sent(settings, SECOND) == (Delivered(), 1), "equal: a POST that is refused, no PATCH"
    after = airflow.audit("command_twice", settings.task.run_id)
    assert [w.event for w in after[len(before) :]] == ["create_xcom_entry"]
    verdict, _ = sent(settings, replace(SECOND, sequence=0, message="older"))
    assert isinstance(verdict, Rejected)
    assert "Airflow has a newer record of this node: attempt 2, success" in verdict.reason
    kept = airflow.xcom("command_twice", settings.task.run_id, "dbt", SECOND.key)
    assert kept == SECOND.to_json()
    assert sent(replace(settings, force=True), FIRST)[0] == Delivered()
    assert airflow.xcom("command_twice", settings.task.run_id, "dbt", FIRST.key) == FIRST.to_json()
    assert sent(settings, replace(SECOND, sequence=2)) == (Delivered(), 2)


def test_records_are_read_back_from_several_pages(
    airflow: Airflow, settings: AirflowSettings
) -> None:
    to = replace(settings, key_prefix="many.")
    records = {
        f"model.jaffle.é{n}": replace(SECOND, unique_id=f"model.jaffle.é{n}") for n in range(105)
    }
    sink = AirflowSink(to, lambda _: None)
    for record in records.values():
        while isinstance(sink.send(record), Retry):
            pass
    sink.close()
    assert read_records(to) == records
    assert read_records(replace(to, task=replace(to.task, run_id="norun"))) == {}
    text = json.dumps(json.dumps(FIRST.to_json()))
    assert (
        airflow.api.call(
            "POST",
            f"/api/v2/dags/command_twice/dagRuns/{to.task.run_id}/taskInstances/dbt/xcomEntries",
            {"key": f"twice.{FIRST.key}", "value": text, "map_index": -1},
        ).status
        == 201
    )
    assert read_records(replace(to, key_prefix="twice.")) == {FIRST.key: FIRST}
