"""What the ledger has of a run, and of a node in a run: a few figures, for a year."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .outcomes import Outcome


class Result(NamedTuple):
    """How a node went in one run.

    A named tuple, because a history has half a million of them. `run` is the place of the run among
    the runs that were asked for, the oldest first. `code` is the same number as long as dbt's
    checksum of the node's code is the same; None if it is not known. `seconds` is dbt's execution
    time. `slot_ms` is BigQuery's, in milliseconds.
    """

    run: int
    outcome: Outcome
    seconds: float | None = None
    code: int | None = None
    rows: int | None = None
    bytes: int | None = None
    slot_ms: int | None = None


@dataclass(frozen=True, slots=True)
class BriefRun:
    """A run of the ledger.

    `id` is its number there, `number` its number in `dbt-relay runs`. `token` names it in both.
    `started_at` is in seconds since 1970. `nodes` is how many nodes it ran itself.
    """

    id: int
    token: str
    number: int
    project: str | None
    command: str
    started_at: float
    nodes: int
