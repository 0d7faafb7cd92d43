"""One look at a node from within Airflow: by the task SDK, with no credentials of its own."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ..consumer.decision import Decision, Policy, Producer, decide
from ..parser.keys import xcom_key
from ..parser.records import NodeRecord, RunRecord, read_record
from ..parser.values import as_sent

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Waiting:
    """A task that waits for a node: what it waits for, and in which try.

    `task_id` runs dbt, and holds the XComs unless `xcom_task_id` names another. `logical_date` is
    the DAG run's, in ISO 8601, None if it has none.
    """

    unique_id: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    xcom_task_id: str | None = None
    key_prefix: str = ""
    logical_date: str | None = None
    attempt: int = 1
    policy: Policy = field(default_factory=Policy)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Waiting:
        return cls(**{**value, "policy": Policy(**value["policy"])})

    @property
    def producer(self) -> tuple[str, str, str, int]:
        return self.dag_id, self.run_id, self.task_id, self.map_index


def look(waiting: Waiting, state_of: Callable[[Waiting], str | None] | None = None) -> Decision:
    """What the task does now; `state_of` reads the producer's state.

    Costs one call for the state, one for the node's record once dbt's task has begun, and up to two
    more for the look that decides.
    """
    state = (state_of or producer_state)(waiting)
    producer = Producer(state)
    if not producer.has_begun:
        return _decide(waiting, None, None, producer)
    found = _read(waiting, xcom_key(waiting.unique_id, waiting.key_prefix))
    node = found if isinstance(found, NodeRecord) else None
    if node is None and not producer.has_ended:
        return _decide(waiting, None, None, producer)
    found = _read(waiting, waiting.key_prefix + RunRecord.key)
    run = found if isinstance(found, RunRecord) else None
    if node is not None:
        producer = Producer(state, _try_number(waiting))
    return _decide(waiting, node, run, producer)


def producer_state(waiting: Waiting) -> str | None:
    """Airflow's word on the task that runs dbt; None if it is not scheduled yet."""
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance  # noqa: PLC0415

    states = RuntimeTaskInstance.get_task_states(
        dag_id=waiting.dag_id,
        task_ids=[waiting.task_id],
        run_ids=[waiting.run_id],
        map_index=waiting.map_index,
    )
    index = f"_{waiting.map_index}" if waiting.map_index >= 0 else ""
    state = states.get(waiting.run_id, {}).get(waiting.task_id + index)
    return str(state) if state is not None else None


def _decide(
    waiting: Waiting, node: NodeRecord | None, run: RunRecord | None, producer: Producer
) -> Decision:
    return decide(
        waiting.unique_id, node, run, producer, attempt=waiting.attempt, policy=waiting.policy
    )


def _read(waiting: Waiting, key: str) -> NodeRecord | RunRecord | None:
    from airflow.sdk.execution_time.xcom import XCom  # noqa: PLC0415

    value = XCom.get_one(
        key=key,
        dag_id=waiting.dag_id,
        run_id=waiting.run_id,
        task_id=waiting.xcom_task_id or waiting.task_id,
        map_index=waiting.map_index,
    )
    return read_record(as_sent(value))


def _try_number(waiting: Waiting) -> int | None:
    """The try that Airflow is at of the task that runs dbt, None where it does not tell.

    The SDK tells the try of another task only through "the latest before a logical date" (Airflow
    3.2 and later), so not for a DAG run that has no such date.
    """
    if waiting.logical_date is None:
        return None
    try:
        from airflow.sdk.execution_time import task_runner  # noqa: PLC0415
        from airflow.sdk.execution_time.comms import GetPreviousTI  # noqa: PLC0415
    except ImportError:
        return None
    after = datetime.fromisoformat(waiting.logical_date) + timedelta(microseconds=1)
    answer: Any = task_runner.SUPERVISOR_COMMS.send(
        GetPreviousTI(
            dag_id=waiting.dag_id,
            task_id=waiting.task_id,
            logical_date=after,
            map_index=waiting.map_index,
        )
    )
    latest = getattr(answer, "task_instance", None)
    if latest is None or latest.run_id != waiting.run_id:
        return None
    return latest.try_number
