"""Settings of a test's Airflow with some of them changed."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from dbt_relay.records import TaskInstance

if TYPE_CHECKING:
    from dbt_relay.sinks.airflow import AirflowSettings

IDS = {field.name for field in fields(TaskInstance)}


def changed(to: AirflowSettings, **more: Any) -> AirflowSettings:
    """The settings with other values; an id of a task instance changes their task."""
    ids = {name: more.pop(name) for name in IDS & more.keys()}
    return replace(to, task=replace(to.task, **ids), **more)
