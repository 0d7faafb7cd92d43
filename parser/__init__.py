"""The pure core: bytes or events of dbt's structured log in, one record per node out."""

from .events import Event, EventReader, Text
from .lineage import Lineage, read_lineage
from .records import NodeRecord, Outcome, Record, RunRecord, is_older, read_record
from .results import RunResults, read_run_results
from .run import Run
from .runner import RecordCallback
from .secrets import Secrets

__all__ = [
    "Event",
    "EventReader",
    "Lineage",
    "NodeRecord",
    "Outcome",
    "Record",
    "RecordCallback",
    "Run",
    "RunRecord",
    "RunResults",
    "Secrets",
    "Text",
    "is_older",
    "read_lineage",
    "read_record",
    "read_run_results",
]
