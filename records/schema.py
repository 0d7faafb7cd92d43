"""What dbt-relay says: one record per node, one per run, each with a single JSON form."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, get_args

from .checks import check_of
from .values import is_object, number, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from .values import JsonObject

Outcome = Literal["success", "warning", "failure", "skipped", "interrupted"]
OUTCOMES: Final[tuple[Outcome, ...]] = ("success", "warning", "failure", "skipped", "interrupted")

_OUTCOME_OF_STATUS: Final[dict[str, Outcome]] = {
    "success": "success",
    "pass": "success",
    "no-op": "success",
    "reused": "success",
    "warn": "warning",
    "error": "failure",
    "fail": "failure",
    "runtime error": "failure",
    "partial success": "failure",
    "skipped": "skipped",
    "interrupted": "interrupted",
    "cancelled": "interrupted",
    "canceled": "interrupted",
}


def outcome_of(status: str) -> Outcome:
    """The outcome that a dbt status word stands for.

    dbt exits with 1 over a partial success, hence a failure. A word that no dbt is known to use is
    a warning: neither green nor red until somebody has looked at it (`NodeRecord.is_doubtful`).
    """
    return _OUTCOME_OF_STATUS.get(status, "warning")


GOOD: Final[tuple[Outcome, ...]] = ("success", "warning")


def is_good(status: str) -> bool:
    """Whether this is a word of dbt for a node that succeeded, with a warning perhaps."""
    return _OUTCOME_OF_STATUS.get(status) in GOOD


class _Record:
    __slots__ = ()
    schema: str

    def to_json(self) -> dict[str, Any]:
        """The record as a JSON object: `schema` first, what is absent left out."""
        pairs = ((f.name, getattr(self, f.name)) for f in fields(self))  # type: ignore[arg-type]
        return {"schema": self.schema, **{k: v for k, v in pairs if v is not None}}


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRecord(_Record):
    """The result of one dbt node (model, test, seed, snapshot, source, hook, …).

    Times are RFC 3339 in UTC with `Z`; `execution_time` is in seconds. `status` is dbt's own word,
    `outcome` its fold into five. `sequence` starts at 1 and grows with each amendment;
    `artificial` says that dbt never reported an end and the relay speaks for it. `resumed_from` is
    the attempt that ran the node, where the present one only publishes its result again; `renewed`
    says that it was run again apart from the whole, after that attempt had ended. `checksum`
    is dbt's of the node's code, None where it has none, as for a generic test.
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
        """What the record is filed under: one value per key and run."""
        return self.unique_id

    @property
    def is_doubtful(self) -> bool:
        """Whether the outcome is better than what `status` is known to stand for.

        So it is where dbt's word is not known, and where somebody else wrote the record.
        """
        if self.outcome in ("failure", "interrupted"):
            return False
        status: Any = self.status
        return not isinstance(status, str) or _OUTCOME_OF_STATUS.get(status) != self.outcome

    @property
    def has_succeeded(self) -> bool:
        """Whether what is after the node may go on; dbt's own `warn` does not hold it back."""
        return self.outcome in GOOD and not self.is_doubtful


@dataclass(frozen=True, slots=True, kw_only=True)
class DbtTestRecord(NodeRecord):
    """The record of a test that also says which nodes it tests, for the sink that asks for it.

    `tests` has for each of those nodes how many tests the project has of it (dbt's manifest).
    """

    tests: dict[str, int]

    @classmethod
    def of(cls, record: NodeRecord, tests: dict[str, int]) -> DbtTestRecord:
        known = {field.name: getattr(record, field.name) for field in fields(NodeRecord)}
        return cls(**known, tests=tests)


RunState = Literal["running", "finished", "died"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord(_Record):
    """The state of a whole run; tells a consumer that a node was not part of it.

    `nodes` counts the nodes by outcome, `failed` names those that failed or were interrupted, but
    for `failed_omitted` of them; `delivery` says for each sink what became of the records.
    `adapter` is dbt's adapter and its version, `duckdb=1.11.1`. `resumed_from` is the attempt whose
    results were published again, and are among `nodes`. `environment` has digests of what dbt ran
    in, by part: a later attempt goes on in the same only.

    `announced` is how many nodes dbt said it would run, as dbt counts: without hooks, ephemeral
    models and, in a build, unit tests. `missing` is how many of those have no record, as dbt was
    stopped before it came to them. Both are None where dbt did not say (dbt v2).
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


Record = NodeRecord | RunRecord
R = TypeVar("R", NodeRecord, DbtTestRecord, RunRecord)


_WORDS: Final = {"Outcome": OUTCOMES, "RunState": get_args(RunState)}


def _checks(kind: type[Record]) -> dict[str, Callable[[Any], Any]]:
    return {field.name: check_of(str(field.type), _WORDS) for field in fields(kind)}


NODE_CHECKS: Final = _checks(NodeRecord)
"""For each field of a node's record the value if it is of the field's type, else None."""
_TEST_CHECKS: Final = _checks(DbtTestRecord)
_RUN_CHECKS: Final = _checks(RunRecord)


def read_record(value: Any) -> Record | None:
    """The record whose JSON form this is; None if it is not one.

    Unknown fields are left out, and so is what is not of its field's type.
    """
    if not is_object(value):
        return None
    if value.get("schema") == RunRecord.schema:
        return _read(value, RunRecord, _RUN_CHECKS)
    if value.get("schema") == NodeRecord.schema:
        of_test = _read(value, DbtTestRecord, _TEST_CHECKS) if "tests" in value else None
        return of_test or _read(value, NodeRecord, NODE_CHECKS)
    return None


def _read(value: JsonObject, kind: type[R], checks: dict[str, Callable[[Any], Any]]) -> R | None:
    checked = {name: check(value.get(name)) for name, check in checks.items()}
    try:
        return kind(**{k: v for k, v in checked.items() if v is not None})
    except TypeError:  # a field that must be there is not
        return None


def is_older(record: Record, than: Record) -> bool:
    """Whether `record` must not replace `than`, the record of the same key that is there.

    The attempt decides, then the start of dbt's invocation (for a run record the start of the
    run), then the sequence. Of one invocation the sequence alone does: a clock may have been set
    back in it. What one of the two does not say decides nothing.
    """
    is_same = record.invocation_id is not None and record.invocation_id == than.invocation_id
    for mine, theirs in zip(_age(record, is_same), _age(than, is_same), strict=True):
        if mine is not None and theirs is not None and mine != theirs:
            return mine < theirs
    return False


def _age(record: Record, is_same: bool) -> tuple[Any, ...]:
    started = record.invocation_started_at if isinstance(record, NodeRecord) else record.started_at
    started = None if is_same else text(started)
    return number(record.attempt), instant(started) if started else None, number(record.sequence)


def later(started_at: str | None, than: str | None) -> str | None:
    """A start that comes after another, which is known to have come first.

    Where the clock was set back in between, it is at most a microsecond after the other.
    """
    if started_at is None or than is None or instant(started_at) > instant(than):
        return started_at
    whole, _, fraction = instant(than).partition(".")
    if not fraction.isdecimal():
        return started_at
    microseconds = int(fraction[:6]) + 1
    # In the last microsecond of a second a digit more is later, too, and stays in that second.
    return f"{whole}.{microseconds:06d}Z" if microseconds < 10**6 else f"{whole}.{fraction}1Z"


def instant(timestamp: str) -> str:
    """A timestamp in a form that sorts by time: dbt leaves trailing zeros of a fraction away."""
    whole, _, fraction = timestamp.rstrip("Z").partition(".")
    return f"{whole}.{fraction:0<9}"
