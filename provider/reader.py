"""Reads XComs and task states with Airflow's task SDK, in a worker or in the triggerer.

The SDK needs no credentials.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.sdk.execution_time.xcom import XCom

from ..consumer.waiting.decision import FINAL_STATES

if TYPE_CHECKING:
    from ..consumer.waiting.look import Waiting


class TaskReader:
    """The `Reader` of consumer/waiting/look.py. Reads with the rights of the waiting task."""

    def state(self, waiting: Waiting) -> str | None:
        states = RuntimeTaskInstance.get_task_states(
            dag_id=waiting.producer.dag_id,
            task_ids=[waiting.producer.task_id],
            run_ids=[waiting.producer.run_id],
            map_index=waiting.producer.map_index,
        )
        index = f"_{waiting.producer.map_index}" if waiting.producer.map_index >= 0 else ""
        state = states.get(waiting.producer.run_id, {}).get(waiting.producer.task_id + index)
        return None if state is None else str(state)

    def states(self, own: Any, group_id: str) -> dict[str, str | None]:
        """The states of the tasks of a group, by task_id, in the run and at the index of `own`."""
        found = RuntimeTaskInstance.get_task_states(
            dag_id=own.dag_id,
            task_group_id=group_id,
            run_ids=[own.run_id],
            map_index=own.map_index if own.map_index >= 0 else None,
        )
        end = f"_{own.map_index}" if own.map_index >= 0 else ""
        return {key.removesuffix(end): state for key, state in found.get(own.run_id, {}).items()}

    def has_ended(self, waiting: Waiting) -> bool:
        """Whether the producer is in a state that Airflow does not change by itself."""
        return self.state(waiting) in FINAL_STATES

    def xcom(self, waiting: Waiting, key: str) -> Any:
        return XCom.get_one(
            key=key,
            dag_id=waiting.producer.dag_id,
            run_id=waiting.producer.run_id,
            task_id=waiting.xcom_task_id or waiting.producer.task_id,
            map_index=waiting.producer.map_index,
        )

    def try_number(self, waiting: Waiting) -> int | None:
        """The current attempt of the task that runs dbt; None if the SDK does not tell it.

        The SDK only tells the latest task instance before a logical date (Airflow 3.2 and later). A
        DAG run may have no logical date.
        """
        if waiting.logical_date is None:
            return None
        try:
            from airflow.sdk.execution_time.comms import GetPreviousTI  # noqa: PLC0415
        except ImportError:
            return None
        after = datetime.fromisoformat(waiting.logical_date) + timedelta(microseconds=1)
        question = GetPreviousTI(
            dag_id=waiting.producer.dag_id,
            task_id=waiting.producer.task_id,
            logical_date=after,
            map_index=waiting.producer.map_index,
        )
        answer: Any = task_runner.SUPERVISOR_COMMS.send(question)
        latest: Any = getattr(answer, "task_instance", None)
        if latest is None or latest.run_id != waiting.producer.run_id:
            return None
        return latest.try_number


def is_cleared(own: Any, retries: int | None) -> bool:
    """Whether somebody has cleared the task instance: Airflow then grants it new retries."""
    return own.max_tries > (retries or 0)
