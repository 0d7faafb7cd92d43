"""Reads XComs and task states with Airflow's task SDK, in a worker or in the triggerer.

The SDK needs no credentials.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.sdk.execution_time.xcom import XCom

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
