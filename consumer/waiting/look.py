"""One look at the nodes that a task waits for: what to read from Airflow, and in which order."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ...records.schema import NodeRecord, RunRecord, read_record
from ...records.task import TaskInstance
from ...records.xcom import xcom_key, xcom_value
from .decision import (
    Decision,
    Policy,
    Producer,
    Unreadable,
    combine,
    decide,
    decide_run,
    is_current,
    is_record_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ...records.schema import Record

R = TypeVar("R", NodeRecord, RunRecord)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A task that waits for the nodes `unique_ids`, in its own attempt `attempt`.

    `was_cleared` says that a person cleared it after the producer had ended. `producer` runs dbt.
    It holds the XComs, unless `xcom_task_id` names another task of the same run. `logical_date` is
    the date of the DAG run in ISO 8601; None if it has none.
    """

    unique_ids: tuple[str, ...]
    producer: TaskInstance
    xcom_task_id: str | None = None
    key_prefix: str = ""
    logical_date: str | None = None
    attempt: int = 1
    was_cleared: bool = False
    policy: Policy = field(default_factory=Policy)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, which Airflow can store; no field that has its default value."""
        value = {
            "unique_ids": [*self.unique_ids],
            "producer": asdict(self.producer),
            "policy": _without_defaults(self.policy),
        }
        return {**_without_defaults(self), **value}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Waiting:
        """The task of a `to_json`."""
        facts: dict[str, Any] = {
            **value,
            "unique_ids": tuple(value["unique_ids"]),
            "producer": TaskInstance(**value["producer"]),
            "policy": Policy(**value["policy"]),
        }
        return cls(**facts)

    @property
    def records_survive_retry(self) -> bool:
        """Whether the records lie at a task whose XComs a retry of the producer does not delete."""
        return self.xcom_task_id not in (None, self.producer.task_id)


class Reader(Protocol):
    """Reads Airflow for a look. Each method is one call to Airflow."""

    def state(self, waiting: Waiting, /) -> str | None:
        """Airflow's word for the producer's state; None if Airflow has not scheduled it yet."""
        ...

    def xcom(self, waiting: Waiting, key: str, /) -> Any:
        """The value of an XCom of the task that holds the records; None if there is none."""
        ...

    def try_number(self, waiting: Waiting, /) -> int | None:
        """The producer's current attempt; None where Airflow does not tell it."""
        ...


def look(waiting: Waiting, reader: Reader, known: dict[str, Decision]) -> Decision:
    """The task's decision now. `known` has the decisions of earlier looks, and takes new ones.

    A look makes one call for the producer's state, one for a node's record once the producer has
    begun, and two more if it decides.
    """
    now = _Look(waiting, reader)
    for unique_id in waiting.unique_ids:
        if unique_id not in known:
            decision = now.at(unique_id)
            if decision.action == "wait":
                return decision
            known[unique_id] = decision
    return combine([known[unique_id] for unique_id in waiting.unique_ids])


class _Look:
    """Reads the producer's state before the records, so that it misses no record of the end."""

    def __init__(self, waiting: Waiting, reader: Reader) -> None:
        self._waiting = waiting
        self._reader = reader
        is_cleared = not waiting.records_survive_retry
        self._producer = Producer(reader.state(waiting), is_cleared=is_cleared)

    def at(self, unique_id: str) -> Decision:
        found = run = None
        producer = self._producer
        if producer.has_begun:
            found = self._node(xcom_key(unique_id, self._waiting.key_prefix))
        node = found if isinstance(found, NodeRecord) else None
        if node is not None or producer.has_ended:
            run = self._run
        if node is not None or (producer.has_ended and self._absence_may_be_green):
            producer = replace(producer, attempt=self._try_number)
        return decide(
            unique_id,
            found,
            run,
            producer,
            attempt=self._waiting.attempt,
            was_cleared=self._waiting.was_cleared,
            is_recovered=node is not None and self._is_recovered(node),
            policy=self._waiting.policy,
        )

    def _is_recovered(self, node: NodeRecord) -> bool:
        """Whether the cause of the node's skip has succeeded since, if that matters."""
        matters = self._producer.has_ended and self._waiting.policy.can_run
        if not matters or node.outcome != "skipped" or node.caused_by is None:
            return False
        cause = self._record(xcom_key(node.caused_by, self._waiting.key_prefix), NodeRecord)
        return cause is not None and is_record_of(node.caused_by, cause) and cause.has_succeeded

    @property
    def _absence_may_be_green(self) -> bool:
        return self._waiting.records_survive_retry or self._waiting.policy.on_missing != "fail"

    @cached_property
    def _run(self) -> RunRecord | None:
        """The run's record. If only that can tell its attempt, and a retry does not delete the
        records, the copy that the relay leaves at the producer itself."""
        at = self._waiting
        if at.records_survive_retry and self._try_number is None:
            at = replace(at, xcom_task_id=None)
        return self._record(at.key_prefix + RunRecord.key, RunRecord, at)

    @cached_property
    def _try_number(self) -> int | None:
        return self._reader.try_number(self._waiting)

    def _node(self, key: str) -> NodeRecord | Unreadable | None:
        value = xcom_value(self._reader.xcom(self._waiting, key))
        if value is None:
            return None
        record = read_record(value)
        return record if isinstance(record, NodeRecord) else Unreadable()

    def _record(self, key: str, kind: type[R], at: Waiting | None = None) -> R | None:
        record = read_record(xcom_value(self._reader.xcom(at or self._waiting, key)))
        return record if isinstance(record, kind) else None


def look_at_prefixes(
    waiting: Waiting,
    reader: Reader,
    prefixes: Sequence[str],
    records: Callable[[], Mapping[str, Record]],
) -> dict[str, Decision]:
    """The decision on each node of the run whose id begins with a prefix, and on `unique_ids`.

    Only the records tell which nodes a run has, so there is no decision before the producer has
    ended: the result is then empty, after one call. `records` reads every record of the run, by
    `record.key`. A prefix without a node counts as a node that was not part of the run. If a
    record of the run may be missing, a decision on the whole run has the key `RunRecord.key`.
    """
    is_cleared = not waiting.records_survive_retry
    producer = Producer(reader.state(waiting), reader.try_number(waiting), is_cleared)
    if not producer.has_ended:
        return {}
    found = records()
    its_run = found.get(RunRecord.key)
    run = its_run if isinstance(its_run, RunRecord) else None
    nodes = {key: record for key, record in found.items() if isinstance(record, NodeRecord)}
    current = [key for key, record in nodes.items() if is_current(record, run, producer)]
    whole = decide_run(
        run,
        producer,
        len(current),
        attempt=waiting.attempt,
        was_cleared=waiting.was_cleared,
        policy=waiting.policy,
    )
    names = list(waiting.unique_ids)
    for prefix in prefixes:
        missing = [prefix] if whole is None else []
        names += [name for name in current if name.startswith(prefix)] or missing
    decided = {
        name: decide(
            name,
            nodes.get(name),
            run,
            producer,
            attempt=waiting.attempt,
            was_cleared=waiting.was_cleared,
            is_recovered=_is_recovered(name, nodes),
            policy=waiting.policy,
        )
        for name in names
    }
    return decided if whole is None else {**decided, RunRecord.key: whole}


def _is_recovered(name: str, nodes: Mapping[str, NodeRecord]) -> bool:
    """Whether the node was skipped, and the cause of the skip has succeeded since."""
    node = nodes.get(name)
    if node is None or node.outcome != "skipped" or node.caused_by is None:
        return False
    cause = nodes.get(node.caused_by)
    return cause is not None and cause.has_succeeded


def _without_defaults(value: Waiting | Policy) -> dict[str, Any]:
    """The fields whose values are not their defaults."""
    pairs = ((f, getattr(value, f.name)) for f in fields(value))
    return {f.name: held for f, held in pairs if held != f.default}
