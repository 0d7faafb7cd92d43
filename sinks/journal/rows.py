"""What the journal says of a run and of what became of its records."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ...records.schema import Record

NOT_SENT: Final = "not sent yet"
ILLEGIBLE: Final = "its record in the journal cannot be read any more: the file was damaged"

COLUMNS: Final = (
    "command", "started_at", "cwd", "target_dir", "dag_id", "run_id", "task_id", "map_index",
    "attempt", "airflow_url", "project_dir", "environment", "renews",
)  # fmt: skip
"""The fields of a RunInfo that the table of runs has, in its order."""


class ClosedError(Exception):
    """The journal was closed, as a worker notices that was busy sending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """What a run is known by from its start on.

    `command` is an argv, `started_at` RFC 3339. `sinks` has for each sink by name what it takes to
    open it again, and no secrets. `environment` has digests of what dbt ran in, by part; None of a
    run that an older dbt-relay entered. `airflow_url` is the address that was configured, whether
    or not records went there. `renews`: some nodes were run again for a task that had ended.
    """

    command: tuple[str, ...]
    started_at: str
    cwd: str | None = None
    target_dir: str | None = None
    dag_id: str | None = None
    run_id: str | None = None
    task_id: str | None = None
    map_index: int = -1
    attempt: int | None = None
    airflow_url: str | None = None
    project_dir: str | None = None
    environment: Mapping[str, str] | None = None
    renews: bool = False
    sinks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Any])

    @classmethod
    def of(cls, values: Sequence[Any], sinks: Iterable[tuple[Any, ...]]) -> RunInfo:
        """From a row with COLUMNS, and names with addresses; TypeError or ValueError if damaged."""
        known = dict(zip(COLUMNS, values, strict=True))
        known["command"] = tuple(str(word) for word in json.loads(known["command"]))
        known["renews"] = bool(known["renews"])
        if known["environment"] is not None:
            known["environment"] = dict(json.loads(known["environment"]))
        return cls(**known, sinks={name: dict(json.loads(address)) for name, address in sinks})

    @property
    def row(self) -> tuple[Any, ...]:
        """Values for COLUMNS."""
        written = {"command": json.dumps(self.command), "renews": int(self.renews)}
        if self.environment is not None:
            written["environment"] = json.dumps(dict(self.environment))
        return tuple(written.get(column, getattr(self, column)) for column in COLUMNS)


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
