"""The two records of dbt-relay, of a node and of a run, and their JSON form."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, get_args

from .checks import check_for
from .outcomes import FAILED, OUTCOMES, REPEATS_STATUS, SUCCESSFUL, Outcome, known_outcome
from .plural import counted
from .values import is_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from .values import JsonObject


class _Record:
    __slots__ = ()
    schema: str

    def to_json(self) -> dict[str, Any]:
        """The record as a JSON object: `schema` first, without the fields that are None."""
        names = _names(type(self))
        known = {name: v for name in names if (v := getattr(self, name)) is not None}
        return {"schema": self.schema, **known}


@cache
def _names(kind: type[_Record]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRecord(_Record):
    """The result of one dbt node (model, test, seed, snapshot, source, hook, …).

    Times are RFC 3339 in UTC with `Z`; `execution_time` is in seconds. `status` is dbt's own word,
    `outcome` one of five for all of dbt's words. `checksum` is dbt's checksum of the node's code;
    generic tests have none. `error_type` is who may mend a failure in dbt v2: `user`, `external` or
    `internal`. `sequence` starts at 1 and grows with each amendment. `artificial`
    marks a record of the relay for a node whose end dbt never reported.

    `resumed_from` is the attempt that ran the node, if this attempt only publishes its result
    again. `renewed` marks a node that a later command ran again by itself, outside the run.
    """

    schema = "dbt-relay/node@1"

    unique_id: str
    resource_type: str | None = None
    name: str | None = None
    status: str
    outcome: Outcome
    message: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    execution_time: float | None = None
    failures: int | None = None
    relation: str | None = None
    path: str | None = None
    materialized: str | None = None
    checksum: str | None = None
    adapter_response: dict[str, Any] | None = None
    timing: list[dict[str, Any]] | None = None
    batches: dict[str, int] | None = None
    skip_cause: str | None = None
    caused_by: str | None = None
    error_type: str | None = None
    index: int | None = None
    total: int | None = None
    thread: str | None = None
    invocation_id: str | None = None
    invocation_started_at: str | None = None
    dbt_version: str | None = None
    attempt: int | None = None
    sequence: int = 1
    artificial: bool | None = None
    resumed_from: int | None = None
    renewed: bool | None = None

    @property
    def key(self) -> str:
        """The key of the record. A run has one record for each key."""
        return self.unique_id

    @property
    def explanation(self) -> str | None:
        """The message, if it says more than the status. dbt v2's own for a test is `Error`."""
        if self.message not in REPEATS_STATUS:
            return self.message
        return f"Got {counted(self.failures, 'result')}" if self.failures else None

    @property
    def is_doubtful(self) -> bool:
        """Whether `outcome` is better than `status` justifies.

        An unknown status word makes a record doubtful; so may another program that wrote it.
        """
        if self.outcome in FAILED:
            return False
        status: Any = self.status
        return not isinstance(status, str) or known_outcome(status) != self.outcome

    @property
    def has_succeeded(self) -> bool:
        """Whether the nodes downstream may run. dbt's `warn` does not hold them back."""
        return self.outcome in SUCCESSFUL and not self.is_doubtful


@dataclass(frozen=True, slots=True, kw_only=True)
class DbtTestRecord(NodeRecord):
    """The record of a test with the nodes that it tests, for a sink that asks for them.

    `tests` maps each tested node to the number of tests that the project has of that node. Both
    come from dbt's manifest.
    """

    tests: dict[str, int]

    @classmethod
    def of(cls, record: NodeRecord, tests: dict[str, int]) -> DbtTestRecord:
        known = {field.name: getattr(record, field.name) for field in fields(NodeRecord)}
        return cls(**known, tests=tests)


RunState = Literal["running", "finished", "died"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord(_Record):
    """The state of a whole run. It proves that a node without a record was not part of the run.

    `nodes` counts the nodes by outcome. `failed` names the nodes that failed or were interrupted,
    without the last `failed_omitted`. `delivery` has the figures of each sink. `adapter` is dbt's
    adapter with its version, `duckdb=1.11.1`. `resumed_from` is the attempt whose results this one
    published again; `nodes` counts them too. `environment` has a digest of each part of dbt's
    environment: a later attempt resumes only in the same environment.

    `announced` is the number of nodes that dbt said it would run. dbt does not count hooks, and dbt
    1.x no ephemeral models and, in a build, no unit tests. `missing` is the number of announced
    nodes without a record, because dbt was stopped before it ran them. The JSON log of dbt v2
    announces nothing: then both are None.
    """

    schema = "dbt-relay/run@1"

    state: RunState
    command: str | None = None
    exit_code: int | None = None
    signal: str | None = None
    message: str | None = None
    nodes: dict[str, int] | None = None
    failed: list[str] | None = None
    failed_omitted: int | None = None
    announced: int | None = None
    missing: int | None = None
    delivery: dict[str, dict[str, int]] | None = None
    started_at: str | None = None
    finished_at: str | None = None
    invocation_id: str | None = None
    dbt_version: str | None = None
    adapter: str | None = None
    attempt: int | None = None
    sequence: int = 1
    resumed_from: int | None = None
    environment: dict[str, str] | None = None

    key = "dbt_relay_run"

    @property
    def has_failed(self) -> bool:
        """Whether dbt ended badly; of a saved log, whether a node did."""
        if self.state == "died" or self.exit_code is not None:
            return self.state == "died" or self.exit_code != 0
        nodes = self.nodes or {}
        return bool(nodes.get("failure") or nodes.get("interrupted"))

    @property
    def failure(self) -> str | None:
        """Why the run has failed, or how dbt ended then; None for a run that has not failed."""
        if not self.has_failed:
            return None
        ended = f"dbt ended with exit code {self.exit_code}" if self.exit_code else "a node failed"
        return self.message or ended


Record = NodeRecord | RunRecord
R = TypeVar("R", NodeRecord, DbtTestRecord, RunRecord)


_WORDS: Final = {"Outcome": OUTCOMES, "RunState": get_args(RunState)}


def _checks(kind: type[Record]) -> dict[str, Callable[[Any], Any]]:
    return {field.name: check_for(str(field.type), _WORDS) for field in fields(kind)}


NODE_CHECKS: Final = _checks(NodeRecord)
"""A check for each field of NodeRecord: returns the value, or None if its type is wrong."""
_TEST_CHECKS: Final = _checks(DbtTestRecord)
_RUN_CHECKS: Final = _checks(RunRecord)


def read_record(value: Any) -> Record | None:
    """The record in a JSON value; None if the value is not a record.

    Ignores unknown fields, and values of another type than their field's.
    """
    if not is_object(value):
        return None
    if value.get("schema") == RunRecord.schema:
        return _read(value, RunRecord, _RUN_CHECKS)
    if value.get("schema") == NodeRecord.schema:
        test = _read(value, DbtTestRecord, _TEST_CHECKS) if "tests" in value else None
        return test or _read(value, NodeRecord, NODE_CHECKS)
    return None


def _read(value: JsonObject, kind: type[R], checks: dict[str, Callable[[Any], Any]]) -> R | None:
    checked = {name: check(value.get(name)) for name, check in checks.items()}
    try:
        return kind(**{k: v for k, v in checked.items() if v is not None})
    except TypeError:  # a required field is missing
        return None
