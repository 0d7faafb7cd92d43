"""What the journal's rows say of a run and of its records."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from ...records.task import TaskInstance

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ...records.schema import Record

NOT_SENT: Final = "not sent yet"
UNREADABLE: Final = "the journal was damaged: this record can no longer be read"

COLUMNS: Final = (
    "command", "started_at", "cwd", "target_dir", "dag_id", "run_id", "task_id", "map_index",
    "attempt", "airflow_url", "project_dir", "environment", "renews",
)  # fmt: skip
"""The columns of the table `run` that a RunInfo fills."""
_TASK_COLUMNS: Final = ("dag_id", "run_id", "task_id", "map_index")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """What the relay knows of a run when the run starts.

    `command` is an argv, `started_at` is RFC 3339. `task` is None outside Airflow, and where one of
    its ids is unknown. `sinks` has the settings of each sink by the sink's name, without secrets:
    enough to open the sink again. `environment` has digests of the environment that dbt ran in, by
    part; it is None for a run of an older dbt-relay. `airflow_url` is the configured address, even
    if no record goes there. `renews` says that the run repeats nodes for a task that had ended.
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

    @property
    def project(self) -> str | None:
        """The folder of dbt's project; of a saved log the folder in which it was read."""
        return self.project_dir or self.cwd

    @classmethod
    def from_row(cls, row: Sequence[Any], sinks: Iterable[tuple[Any, ...]]) -> RunInfo:
        """The run of a row with COLUMNS, and of rows with a sink's name and address.

        TypeError or ValueError if a row is damaged.
        """
        values: dict[str, Any] = dict(zip(COLUMNS, row, strict=True))
        values["command"] = tuple(str(word) for word in json.loads(values["command"]))
        values["renews"] = bool(values["renews"])
        values["task"] = _task(*(values.pop(column) for column in _TASK_COLUMNS))
        if values["environment"] is not None:
            values["environment"] = dict(json.loads(values["environment"]))
        return cls(**values, sinks={name: dict(json.loads(address)) for name, address in sinks})

    def to_row(self) -> tuple[Any, ...]:
        """The values for COLUMNS."""
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
    """The task instance of a row; None unless the row has all three ids."""
    if not (dag_id and run_id and task_id):
        return None
    return TaskInstance(dag_id, run_id, task_id, -1 if map_index is None else map_index)


@dataclass(frozen=True, slots=True)
class Leased:
    """A record on its way to a sink. `version` tells it from a newer record with the same key."""

    record: Record
    version: int


@dataclass(frozen=True, slots=True)
class Account:
    """The keys of all records of one sink, by what became of the record.

    `waiting` and `rejected` map each key to the reason.
    """

    delivered: set[str]
    waiting: dict[str, str]
    rejected: dict[str, str]
