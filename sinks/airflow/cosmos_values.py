"""XComs in the form that the consumers of Astronomer Cosmos 1.15's `ExecutionMode.WATCHER` read.

The consumers are sensors and triggers. They poll the state of one producer task and these keys of
it, with `UID` for a unique_id that has `__` for each dot (cosmos/operators/_watcher of 1.15.1):

| key                  | value                                      | read by, and what for |
|----------------------|--------------------------------------------|-----------------------|
| `UID_status`         | `{"status", "outlet_uris"}`                | sensor and trigger: the node has ended |
| `UID_dbt_event`      | `{"status", "start_time", "finish_time", "msg"}` | sensor, once: it logs them |
| `UID_tests_status`   | `"pass"` or `"fail"`                       | test sensor and trigger: all tests of the node have ended |
| `dbt_startup_events` | `[{"name", "msg", "ts"}]`                  | trigger: polls it first, until both versions are there |

Values are plain JSON. Cosmos ignores fields that it does not know: `dbt_relay` tells the age of a
value. docs/how-to/cosmos.md has the rest of the contract, and what is not written.
"""  # noqa: E501 - a table

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from ...records.schema import DbtTestRecord, NodeRecord, RunRecord
from ...records.values import is_object
from ...records.xcom import MAX_KEY
from ..sink import Rejected
from .payload import cut, safe

if TYPE_CHECKING:
    from ...records.outcomes import Outcome

STARTUP: Final = "dbt_startup_events"
STAMP: Final = "dbt_relay"

_KNOWN: Final = frozenset({"success", "pass", "warn", "fail", "error", "runtime error"})
_WORDS: Final[dict[Outcome, str]] = {
    "success": "success",
    "warning": "warn",
    "failure": "error",
    "interrupted": "error",
    "skipped": "skipped",
}
_UNREAD: Final = ("test.", "unit_test.", "operation.", "macro.")
"""Nodes without a consumer of their own: Cosmos reads the tests of a model together."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9_.-]+")
_TESTS: Final = "tests_status"


def node_keys(record: NodeRecord) -> tuple[str, ...]:
    """The keys of the node itself, in the order in which they are written.

    A consumer that sees the status reads the event once, at once: so the status comes last.
    """
    uid = record.unique_id
    return () if uid.startswith(_UNREAD) else (_key(uid, "dbt_event"), _key(uid, "status"))


def node_values(record: NodeRecord, max_message_bytes: int) -> tuple[dict[str, Any], ...]:
    """The values for `node_keys`."""
    status, stamp = _status(record), safe(sketch(record).to_json())
    event = {
        "status": status,
        "start_time": _clock(record.started_at),
        "finish_time": _clock(record.finished_at),
        "msg": cut(safe(_message(record)), max_message_bytes),
        STAMP: stamp,
    }
    return event, {"status": status, "outlet_uris": [], STAMP: stamp}


def tests_key(unique_id: str) -> str:
    """The key for all tests of a node together."""
    return _key(unique_id, _TESTS)


def tested_nodes(record: NodeRecord) -> dict[str, int]:
    """How many tests each node has that this test belongs to.

    A test of several nodes may have a sensor of its own (Cosmos calls it detached). That sensor
    reads the key that a node with one test would have.
    """
    tests = record.tests if isinstance(record, DbtTestRecord) else {}
    return {**tests, record.unique_id: 1} if len(tests) > 1 else tests


def startup_events(run: RunRecord) -> list[dict[str, str]] | None:
    """The versions of dbt and of its adapter; None until both are known."""
    if not (run.dbt_version and run.adapter):
        return None
    versions = {
        "MainReportVersion": f"Running with dbt={run.dbt_version}",
        "AdapterRegistered": f"Registered adapter: {run.adapter}",
    }
    ts = run.started_at or ""
    return [{"name": name, "msg": safe(msg), "ts": ts} for name, msg in versions.items()]


def stamp_of(value: Any) -> Any:
    """The JSON of the record that tells the age of a value; None if the value has none."""
    if not is_object(value):
        return None
    return value if value.get("schema") == RunRecord.schema else value.get(STAMP)


def sketch(record: NodeRecord) -> NodeRecord:
    """The fields that tell a record from an older one."""
    return NodeRecord(
        unique_id=record.unique_id,
        status=record.status,
        outcome=record.outcome,
        finished_at=record.finished_at,
        invocation_started_at=record.invocation_started_at,
        attempt=record.attempt,
        sequence=record.sequence,
    )


def refuse_shared_key(key: str, unique_id: str, owner: str) -> Rejected:
    """Two nodes have one key, and `owner` had it first."""
    return Rejected(
        f"{unique_id} and {owner} share the Cosmos key {key}. The key holds the result of {owner}: "
        "rename one of them, or use --sink airflow"
    )


def refuse_key(key: str, unique_id: str) -> Rejected | None:
    """Why no consumer can pull a key; None if it can."""
    if len(key) <= MAX_KEY and _PLAIN.fullmatch(key):
        return None
    return Rejected(
        f"no consumer of Cosmos can pull the key {key!r}: Airflow's keys have up to {MAX_KEY} of "
        f"A-Z a-z 0-9 _ . -; rename {unique_id}, or use --sink airflow"
    )


def _key(unique_id: str, suffix: str) -> str:
    return f"{unique_id.replace('.', '__')}_{suffix}"


def _status(record: NodeRecord) -> str:
    """A word that Cosmos knows.

    Any other word fails a sensor that pokes, and a deferred sensor polls for ever (Cosmos 1.15). A
    skip after a failure becomes a failure, because Airflow does not retry a skipped task.
    """
    if record.outcome == "skipped" and record.skip_cause != "fail_fast":
        return "failed"
    if record.is_doubtful:
        return "error"  # Cosmos has no word for a result that nobody knows
    return record.status if record.status in _KNOWN else _WORDS[record.outcome]


def _message(record: NodeRecord) -> str:
    if record.message is None and record.outcome == "skipped":
        return f"skipped, because of {record.caused_by or record.skip_cause or 'what came before'}"
    return record.message or ""


def _clock(timestamp: str | None) -> str | None:
    """HH:MM:SS, as Cosmos's own producer writes it."""
    return timestamp[11:19] if timestamp else None
