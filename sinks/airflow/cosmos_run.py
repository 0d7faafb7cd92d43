"""One run as the consumers of Cosmos see it: which XComs each record completes."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ...records.age import is_older
from ...records.schema import NodeRecord, RunRecord, read_record
from .cosmos_values import (
    STARTUP,
    node_keys,
    node_values,
    refuse_key,
    refuse_shared_key,
    sketch,
    stamp_of,
    startup_events,
    tested_nodes,
    tests_key,
)
from .payload import xcom_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ...records.schema import Record
    from ..sink import Rejected

_ALL_PASSED: Final = {True: "pass", False: "fail"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One XCom to write: a key and a value that is safe.

    `unique_id` is the node whose result the value is; None for a value of the run. `age` is the
    record that says how new the value is. The value repeats it if `is_stamped`. Other values have
    no room for it, and are as old as the record of the run.
    """

    key: str
    value: Any
    age: Record
    unique_id: str | None = None
    is_stamped: bool = False

    def other_owner(self, there: Any) -> str | None:
        """The other node whose result a value under this key is; None if it tells of none."""
        if self.unique_id is None:
            return None
        known = read_record(stamp_of(there))
        if isinstance(known, NodeRecord):
            return known.unique_id if known.unique_id != self.unique_id else None
        # The tests of model.a have the key that model.a_tests has for its status.
        of_tests = self.is_stamped and there in _ALL_PASSED.values()
        return self.unique_id.removesuffix("_tests") if of_tests else None


class CosmosRun:
    """The records of a run that are known so far. Any thread may call any method.

    Some values are made of several records: the result of all tests of a node.
    """

    def __init__(self, max_message_bytes: int) -> None:
        self._max_message_bytes = max_message_bytes
        self._lock = threading.Lock()
        self._run: RunRecord | None = None
        self._owners: dict[str, str] = {}
        """Each key with the first node that fills it."""
        self._tests: dict[str, dict[str, NodeRecord]] = {}
        """For each node its tests that have ended, by unique_id."""
        self._expected: dict[str, int] = {}
        """How many tests each node has."""

    def learn(self, records: Iterable[Record]) -> None:
        """Take in records of the run. Their order does not matter, nor how often each one comes."""
        with self._lock:
            for record in records:
                self._learn(record)

    def entries(self, record: Record) -> list[Entry | Rejected]:
        """The XComs to write for a record, in this order; or why one of them cannot be written."""
        with self._lock:
            self._learn(record)
            if isinstance(record, RunRecord):
                return [*self._startup(record), *self._rest(record), self._own(record)]
            return [*self._node(record), *self._completed_tests(record)]

    def _learn(self, record: Record) -> None:
        if isinstance(record, RunRecord):
            if self._run is None or not is_older(record, than=self._run):
                self._run = record
            return
        for key in node_keys(record):
            self._owners.setdefault(key, record.unique_id)
        for tested, expected in tested_nodes(record).items():
            self._expected[tested] = expected
            self._owners.setdefault(tests_key(tested), tested)
            ended = self._tests.setdefault(tested, {})
            known = ended.get(record.unique_id)
            if known is None or not is_older(record, than=known):
                ended[record.unique_id] = sketch(record)

    def _node(self, record: NodeRecord) -> Iterator[Entry | Rejected]:
        uid = record.unique_id
        keys = node_keys(record)
        if keys:
            for key, value in zip(keys, node_values(record, self._max_message_bytes), strict=True):
                yield self._refusal(key, uid) or Entry(key, value, record, uid, is_stamped=True)

    def _completed_tests(self, record: NodeRecord) -> Iterator[Entry | Rejected]:
        """The nodes whose last test this is."""
        for tested in tested_nodes(record):
            if self._is_complete(tested):
                yield self._all_tests(tested, record)

    def _rest(self, run: RunRecord) -> Iterator[Entry | Rejected]:
        """At the end of the run: the nodes with tests that were not part of the run.

        If the run failed or died, an absent test may be one that it never got to: then the others
        say nothing unless one of them has failed.
        """
        if run.state == "running":
            return
        is_well = run.state == "finished" and not run.exit_code and not run.failed
        for tested, ended in self._tests.items():
            if not self._is_complete(tested) and (is_well or not _have_passed(ended)):
                yield self._all_tests(tested, run)

    def _is_complete(self, tested: str) -> bool:
        return len(self._tests[tested]) >= self._expected[tested]

    def _all_tests(self, tested: str, record: Record) -> Entry | Rejected:
        key, value = tests_key(tested), _ALL_PASSED[_have_passed(self._tests[tested])]
        return self._refusal(key, tested) or Entry(key, value, self._run or record, tested)

    def _startup(self, run: RunRecord) -> Iterator[Entry]:
        events = startup_events(run)
        if events is not None:
            yield Entry(STARTUP, events, self._run or run)

    def _own(self, run: RunRecord) -> Entry:
        value = xcom_value(run.to_json(), self._max_message_bytes)
        return Entry(run.key, value, run, is_stamped=True)

    def _refusal(self, key: str, unique_id: str) -> Rejected | None:
        owner = self._owners[key]
        if owner != unique_id:
            return refuse_shared_key(key, unique_id, owner)
        return refuse_key(key, unique_id)


def _have_passed(tests: Mapping[str, NodeRecord]) -> bool:
    return all(record.has_succeeded for record in tests.values())
