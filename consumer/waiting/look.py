"""One look at the nodes that a task waits for: what is read, in which order, and how often."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol, TypeVar

from ...records.schema import NodeRecord, RunRecord, read_record
from ...records.task import TaskInstance
from ...records.xcom import xcom_key, xcom_value
from .decision import Decision, Policy, Producer, Unreadable, combine, decide, is_record_of

R = TypeVar("R", NodeRecord, RunRecord)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A task that waits for nodes: for which, of what run, and in which try of its own.

    `producer` runs dbt. It holds the XComs, unless `xcom_task_id` names another task.
    `logical_date` is the DAG run's, in ISO 8601; None if it has none.
    """

    unique_ids: tuple[str, ...]
    producer: TaskInstance
    xcom_task_id: str | None = None
    key_prefix: str = ""
    logical_date: str | None = None
    attempt: int = 1
    policy: Policy = field(default_factory=Policy)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Waiting:
        """Of `to_json`, also after JSON has made a list of the tuple."""
        facts = dict(value)
        facts["unique_ids"] = tuple(value["unique_ids"])
        facts["producer"] = TaskInstance(**value["producer"])
        facts["policy"] = Policy(**value["policy"])
        return cls(**facts)

    @property
    def outlives_a_try(self) -> bool:
        """Whether the records lie where Airflow leaves them when it tries the producer again."""
        return self.xcom_task_id not in (None, self.producer.task_id)


class Reader(Protocol):
    """How a look reads Airflow; each method is one call."""

    def state(self, waiting: Waiting, /) -> str | None:
        """Airflow's word on the task that runs dbt; None if it is not scheduled yet."""
        ...

    def xcom(self, waiting: Waiting, key: str, /) -> Any:
        """A value under the task that holds the records of `waiting`, None where there is none."""
        ...

    def try_number(self, waiting: Waiting, /) -> int | None:
        """The try that Airflow is at of the task that runs dbt, None where it does not tell."""
        ...


def look(waiting: Waiting, reader: Reader, known: dict[str, Decision]) -> Decision:
    """What the task does now; `known` is what earlier looks have decided, and is added to.

    Costs one call for the state, one for a node's record once dbt's task has begun, and two more
    in a look that decides.
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
    """The state first, then records: what was written before the end is then seen with it."""

    def __init__(self, waiting: Waiting, reader: Reader) -> None:
        self._waiting = waiting
        self._reader = reader
        self._producer = Producer(reader.state(waiting), is_cleared=not waiting.outlives_a_try)

    def at(self, unique_id: str) -> Decision:
        found = run = None
        producer = self._producer
        if producer.has_begun:
            found = self._node(xcom_key(unique_id, self._waiting.key_prefix))
        node = found if isinstance(found, NodeRecord) else None
        if node is not None or producer.has_ended:
            run = self._run
        if node is not None or (producer.has_ended and self._absence_may_be_green):
            producer = replace(producer, try_number=self._try_number)
        return decide(
            unique_id,
            found,
            run,
            producer,
            attempt=self._waiting.attempt,
            is_mended=node is not None and self._is_mended(node),
            policy=self._waiting.policy,
        )

    def _is_mended(self, node: NodeRecord) -> bool:
        """Whether what the node was skipped for has succeeded since, where that matters."""
        matters = self._producer.has_ended and self._waiting.policy.can_run
        if not matters or node.outcome != "skipped" or node.caused_by is None:
            return False
        cause = self._record(xcom_key(node.caused_by, self._waiting.key_prefix), NodeRecord)
        return cause is not None and is_record_of(node.caused_by, cause) and cause.has_succeeded

    @property
    def _absence_may_be_green(self) -> bool:
        return self._waiting.outlives_a_try or self._waiting.policy.on_missing != "fail"

    @cached_property
    def _run(self) -> RunRecord | None:
        """The run's record. Where only it can say which try it is of, and those of earlier tries
        outlive them, the one that the relay has left at the producer itself."""
        at = self._waiting
        if self._waiting.outlives_a_try and self._try_number is None:
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
