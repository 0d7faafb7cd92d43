"""A run in a journal, a record for it, and a delivery of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dbt_relay.records import TaskInstance
from dbt_relay.sinks import Delivery, Journal, JournalRun, RunInfo, Sink
from support import records
from support.settings import IDS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from dbt_relay.records import NodeRecord

OPEN: list[Journal] = []
"""The journals that `begin` opened. They are closed at the end of the test."""

STARTED = "2026-01-02T03:04:05.000006Z"


def info(sinks: Iterable[str] = ("airflow",), **fields: Any) -> RunInfo:
    """What the relay knows of a run. Ids in `fields` become the run's task instance."""
    known: dict[str, Any] = {"command": ("dbt", "build"), "started_at": STARTED, **fields}
    ids = {name: known.pop(name) for name in IDS if name in known}
    if ids:
        known["task"] = TaskInstance(**ids)
    return RunInfo(sinks={name: {"path": f"/{name}"} for name in sinks}, **known)


def node(key: str, sequence: int = 1, **more: Any) -> NodeRecord:
    """The record of a node that succeeded."""
    return records.node(key, sequence=sequence, **more)


def begin(folder: Path | None, *sinks: str, **fields: Any) -> JournalRun:
    """A new run in the journal of a folder, or in memory."""
    OPEN.append(Journal(folder))
    return OPEN[-1].begin(info(sinks, **fields))


def deliver(sinks: list[Sink], folder: Path | None = None, **options: Any) -> Delivery:
    """A delivery to these sinks."""
    return Delivery(begin(folder, *(sink.name for sink in sinks)), sinks, **options)
