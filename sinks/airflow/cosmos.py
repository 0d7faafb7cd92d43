"""XComs as the consumers of Astronomer Cosmos 1.15's `ExecutionMode.WATCHER` read them.

They are sensors and triggers, which poll the state of one producer task and these keys of it, with
`UID` for a unique_id that has `__` for each dot (cosmos/operators/_watcher of 1.15.1):

| key                  | value                                      | read by, and what for |
|----------------------|--------------------------------------------|-----------------------|
| `UID_status`         | `{"status", "outlet_uris"}`                | sensor and trigger: the node has ended |
| `UID_dbt_event`      | `{"status", "start_time", "finish_time", "msg"}` | sensor, once: it logs them |
| `UID_tests_status`   | `"pass"` or `"fail"`                       | test sensor and trigger: all tests of the node have ended |
| `dbt_startup_events` | `[{"name", "msg", "ts"}]`                  | trigger: polls it first, until both versions are there |

Values are plain JSON. Fields that Cosmos does not know it leaves alone: `dbt_relay` has what tells
the age of a value. The other half of the contract, and what is not written, is in docs/cosmos.md.
"""  # noqa: E501 - a table

from __future__ import annotations

import contextlib
import re
import threading
from typing import TYPE_CHECKING, Any, Final

from ...records.schema import NodeRecord, RunRecord, is_older
from ...records.values import is_object
from ...records.xcom import MAX_KEY
from ..sink import Rejected
from .payload import cut, safe, xcom_value
from .wire import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from ...records.schema import Outcome, Record
    from .api.settings import AirflowSettings

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
"""Nodes that have no consumer of their own: Cosmos reads the tests of a model as one."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9_.-]+")


class CosmosWire:
    """Cosmos's keys for each node, and our own record of the run.

    What several records make together is made of all that were learned: the tests of a node.
    """

    def __init__(self, settings: AirflowSettings) -> None:
        self._to = settings
        self._turn = threading.Lock()
        self._learning = threading.Lock()
        self._run: RunRecord | None = None
        self._owners: dict[str, str] = {}
        """Keys by the first node that fills them."""
        self._tests: dict[str, dict[str, NodeRecord]] = {}
        """The tests that have ended of each node, by unique_id."""
        self._expected: dict[str, int] = {}
        """How many tests each node has."""

    def learn(self, record: Record) -> None:
        with self._learning:
            if isinstance(record, RunRecord):
                if self._run is None or not is_older(record, than=self._run):
                    self._run = record
                return
            for key in _keys(record):
                self._owners.setdefault(key, record.unique_id)
            for tested, expected in _tested(record).items():
                self._expected[tested] = expected
                self._owners.setdefault(_tests_key(tested), tested)
                ended = self._tests.setdefault(tested, {})
                known = ended.get(record.unique_id)
                if known is None or not is_older(record, than=known):
                    ended[record.unique_id] = _sketch(record)

    def turn(self, record: Record) -> AbstractContextManager[Any]:
        """Two workers that send tests of one node would write its key in any order."""
        is_shared = isinstance(record, RunRecord) or record.unique_id.startswith("test.")
        return self._turn if is_shared else contextlib.nullcontext()

    def entries(self, record: Record) -> Sequence[Entry | Rejected]:
        self.learn(record)
        with self._learning:
            if isinstance(record, RunRecord):
                return [*self._startup(record), *self._rest(record), self._own(record)]
            return [*self._node(record), *self._aggregates(record)]

    def stamp(self, value: Any) -> Any:
        if not is_object(value):
            return None
        return value if value.get("schema") == RunRecord.schema else value.get(STAMP)

    def _node(self, record: NodeRecord) -> Iterator[Entry | Rejected]:
        if not _keys(record):
            return
        status = _status(record)
        event = {
            "status": status,
            "start_time": _clock(record.started_at),
            "finish_time": _clock(record.finished_at),
            "msg": cut(safe(_message(record)), self._to.max_message_bytes),
            STAMP: safe(_sketch(record).to_json()),
        }
        node: dict[str, Any] = {"status": status, "outlet_uris": [], STAMP: event[STAMP]}
        # Whoever sees the status reads the event once, at once.
        for key, value in zip(_keys(record), (event, node), strict=True):
            yield self._refusal(key, record.unique_id) or Entry(key, value, record)

    def _aggregates(self, record: NodeRecord) -> Iterator[Entry | Rejected]:
        """The tests that this one completes."""
        for tested in _tested(record):
            if self._is_complete(tested):
                yield self._aggregate(tested, record)

    def _rest(self, run: RunRecord) -> Iterator[Entry | Rejected]:
        """At the end of the run the nodes some of whose tests were not part of it.

        Of a run that failed, or died, an absent test may be one that it never got to.
        """
        if run.state == "running":
            return
        is_well = run.state == "finished" and not run.exit_code and not run.failed
        for tested, ended in self._tests.items():
            if not self._is_complete(tested) and (is_well or not _has_passed(ended)):
                yield self._aggregate(tested, run)

    def _is_complete(self, tested: str) -> bool:
        return len(self._tests[tested]) >= self._expected[tested]

    def _aggregate(self, tested: str, record: Record) -> Entry | Rejected:
        value = "pass" if _has_passed(self._tests[tested]) else "fail"
        return self._of_run(_tests_key(tested), value, record, tested)

    def _startup(self, run: RunRecord) -> Iterator[Entry | Rejected]:
        if run.dbt_version and run.adapter:
            versions = {
                "MainReportVersion": f"Running with dbt={run.dbt_version}",
                "AdapterRegistered": f"Registered adapter: {run.adapter}",
            }
            ts = run.started_at or ""
            yield self._of_run(
                STARTUP, [{"name": n, "msg": safe(m), "ts": ts} for n, m in versions.items()], run
            )

    def _own(self, run: RunRecord) -> Entry:
        return Entry(run.key, xcom_value(run.to_json(), self._to.max_message_bytes), run)

    def _of_run(
        self, key: str, value: Any, record: Record, unique_id: str | None = None
    ) -> Entry | Rejected:
        """A value without room for its age, which is that of the run."""
        refusal = self._refusal(key, unique_id) if unique_id else None
        return refusal or Entry(key, value, self._run or record, witness=RunRecord.key)

    def _refusal(self, key: str, unique_id: str) -> Rejected | None:
        owner = self._owners[key]
        if owner != unique_id:
            return shared(key, unique_id, owner)
        if len(key) > MAX_KEY or not _PLAIN.fullmatch(key):
            return Rejected(
                f"no consumer of Cosmos can pull the key {key!r}: Airflow's keys have up to "
                f"{MAX_KEY} of A-Z a-z 0-9 _ . -; rename {unique_id}, or use --wire relay"
            )
        return None


def shared(key: str, unique_id: str, owner: str) -> Rejected:
    """Two nodes have one key, which `owner` had first."""
    return Rejected(
        f"{unique_id} and {owner} have the same key for Cosmos, {key}, which has the latter's "
        "result: rename one of them, or use --wire relay"
    )


def _key(unique_id: str, suffix: str) -> str:
    return f"{unique_id.replace('.', '__')}_{suffix}"


def _tests_key(unique_id: str) -> str:
    return _key(unique_id, "tests_status")


def _keys(record: NodeRecord) -> tuple[str, ...]:
    """The keys of the node itself, in the order in which they are written."""
    uid = record.unique_id
    if uid.startswith(_UNREAD):
        return ()
    return _key(uid, "dbt_event"), _key(uid, "status")


def _tested(record: NodeRecord) -> dict[str, int]:
    """How many tests each node has that this test is one of.

    A test of several nodes may have a sensor of its own (Cosmos calls it detached), which reads
    the key that a node with one test would have.
    """
    tests = record.tests or {}
    return {**tests, record.unique_id: 1} if len(tests) > 1 else tests


def _has_passed(ended: dict[str, NodeRecord]) -> bool:
    return all(record.has_succeeded for record in ended.values())


def _status(record: NodeRecord) -> str:
    """A word that Cosmos knows.

    Any other fails a sensor that pokes, whatever it means, and one that is deferred polls for ever
    (Cosmos 1.15). A skip after a failure is a failure there, since Airflow retries no skips.
    """
    if record.outcome == "skipped" and record.skip_cause != "fail_fast":
        return "failed"
    if record.is_doubtful:
        return "error"  # Cosmos has no word for what nobody knows
    return record.status if record.status in _KNOWN else _WORDS[record.outcome]


def _message(record: NodeRecord) -> str:
    if record.message is None and record.outcome == "skipped":
        return f"skipped, because of {record.caused_by or record.skip_cause or 'what came before'}"
    return record.message or ""


def _clock(timestamp: str | None) -> str | None:
    """HH:MM:SS, as Cosmos's own producer writes it."""
    return timestamp[11:19] if timestamp else None


def _sketch(record: NodeRecord) -> NodeRecord:
    """What tells a record from an older one, and not more."""
    return NodeRecord(
        unique_id=record.unique_id,
        status=record.status,
        outcome=record.outcome,
        finished_at=record.finished_at,
        invocation_started_at=record.invocation_started_at,
        attempt=record.attempt,
        sequence=record.sequence,
    )
