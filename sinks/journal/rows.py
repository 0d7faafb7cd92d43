"""What the rows of the journal say of a run and of its records."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ...records.task import TaskInstance

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ...records.schema import Record

NOT_SENT: Final = "not sent yet"
UNREADABLE: Final = "its record in the journal cannot be read any more: the file was damaged"

COLUMNS: Final = (
    "command", "started_at", "cwd", "target_dir", "dag_id", "run_id", "task_id", "map_index",
    "attempt", "airflow_url", "project_dir", "environment", "renews",
)  # fmt: skip
"""The columns of the table of runs that a RunInfo fills."""
_TASK_COLUMNS: Final = ("dag_id", "run_id", "task_id", "map_index")


class ClosedError(Exception):
    """The journal was closed, as a worker notices that was busy sending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """What is known of a run when it starts.

    `command` is an argv, `started_at` RFC 3339. `task` is None outside Airflow. `sinks` has, for
    each sink by name, the settings to open it again, without secrets. `environment` has digests of
    the environment that dbt ran in, by part; it is None for a run of an older dbt-relay.
    `airflow_url` is the configured address, whether or not records went there. `renews` says that
    the run repeats nodes for a task that had ended.
    """

    command: tuple[str, ...]
    started_at: str
    cwd: str | None = None
    target_dir: str | None = None
    task: TaskInstance | None = None
    attempt: int | None = None
    airflow_url: str | None = None
    project_dir: str | None = None
    environment: Mapping[str, str] | None = None
    renews: bool = False
    sinks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Any])

    @classmethod
    def of(cls, values: Sequence[Any], sinks: Iterable[tuple[Any, ...]]) -> RunInfo:
        """From a row with COLUMNS, and names with addresses; TypeError or ValueError if damaged."""
        known: dict[str, Any] = dict(zip(COLUMNS, values, strict=True))
        known["command"] = tuple(str(word) for word in json.loads(known["command"]))
        known["renews"] = bool(known["renews"])
        known["task"] = _task(*(known.pop(column) for column in _TASK_COLUMNS))
        if known["environment"] is not None:
            known["environment"] = dict(json.loads(known["environment"]))
        return cls(**known, sinks={name: dict(json.loads(address)) for name, address in sinks})

    @property
    def row(self) -> tuple[Any, ...]:
        """Values for COLUMNS."""
        written: dict[str, Any] = {
            "command": json.dumps(self.command),
            "renews": int(self.renews),
            **dict.fromkeys(_TASK_COLUMNS, None),
            "map_index": -1,
        }
        if self.task is not None:
            written |= {column: getattr(self.task, column) for column in _TASK_COLUMNS}
        if self.environment is not None:
            written["environment"] = json.dumps(dict(self.environment))
        return tuple(written[c] if c in written else getattr(self, c) for c in COLUMNS)


def _task(dag_id: Any, run_id: Any, task_id: Any, map_index: Any) -> TaskInstance | None:
    """The task instance of a row; None unless the row names all of it."""
    if not (dag_id and run_id and task_id):
        return None
    return TaskInstance(dag_id, run_id, task_id, -1 if map_index is None else map_index)


@dataclass(frozen=True, slots=True)
class Leased:
    """A record on its way to a sink; `version` tells it from a newer one of its key."""

    record: Record
    version: int


@dataclass(frozen=True, slots=True)
class Account:
    """Keys by what became of them in one sink; where it has them not, with the reason."""

    delivered: set[str]
    waiting: dict[str, str]
    rejected: dict[str, str]
