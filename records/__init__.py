"""The words that all packages share: records of nodes and runs, task instances, XComs, exits."""

from .age import is_older
from .outcomes import Outcome
from .schema import NodeRecord, Record, RunRecord, read_record
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
