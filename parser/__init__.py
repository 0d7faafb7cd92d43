"""The pure core: bytes or events of dbt's structured log in, one record per node out."""

from .artifacts import RunResults, read_run_results
from .callback import RecordCallback
from .events import Event, Text
from .lineage import Lineage, read_lineage
from .reader import EventReader
from .run import Run
from .secrets import Secrets

__all__ = [
    "Event",
    "EventReader",
    "Lineage",
    "RecordCallback",
    "Run",
    "RunResults",
    "Secrets",
    "Text",
    "read_lineage",
    "read_run_results",
]
