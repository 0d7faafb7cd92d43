"""The words that everyone here uses: a node's record, a run's record, a task instance, an XCom."""

from .schema import NodeRecord, Outcome, Record, RunRecord, is_older, read_record
from .task import TaskInstance

__all__ = [
    "NodeRecord",
    "Outcome",
    "Record",
    "RunRecord",
    "TaskInstance",
    "is_older",
    "read_record",
]
