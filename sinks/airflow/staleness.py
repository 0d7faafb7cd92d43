"""Whether a record comes too late: Airflow has a newer attempt, or a newer record.

Airflow addresses an XCom by DAG, run, task and map index, not by try. So the relay of try 1 that is
still flushing, or a journal that is delivered the next morning, would write into try 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...records.age import is_older
from ...records.schema import NodeRecord, read_record
from ...records.values import number, text
from ..sink import Rejected

if TYPE_CHECKING:
    from ...records.schema import Record


def refuse_past_attempt(record: Record, current: int | None, task_id: str) -> Rejected | None:
    """Why the record is not written: Airflow is at a later attempt of the task that runs dbt.

    `current` is None where Airflow does not tell its attempt.
    """
    if record.attempt is None or current is None or current <= record.attempt:
        return None
    return Rejected(
        f"attempt {record.attempt} is over: Airflow is at try {current} of task {task_id!r}; "
        "`dbt-relay deliver --force` still writes it"
    )


def refuse_older(record: Record, value: Any) -> Rejected | None:
    """Why the record does not replace a value that Airflow has: the value is a newer record."""
    there = read_record(value)
    if there is None or not is_older(record, than=there):
        return None
    is_node = isinstance(there, NodeRecord)
    attempt = number(there.attempt)
    words = [
        "" if attempt is None else f"attempt {attempt}",
        text(there.status if is_node else there.state),
        text(there.finished_at or there.started_at),
    ]
    return Rejected(
        f"Airflow has a newer record of this {'node' if is_node else 'run'}: "
        f"{', '.join(word[:40] for word in words if word)}; "
        "`dbt-relay deliver --force` replaces it"
    )
