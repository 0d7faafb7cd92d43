"""Delivery: records in, each landed in every sink or accounted for."""

from .delivery import Delivery, Figures
from .journal.history import KEEP_DAYS, KEEP_RUNS
from .journal.journal import Journal
from .journal.rows import NOT_SENT, RunInfo
from .journal.run import JournalRun
from .jsonl import JsonlSink
from .sink import Delivered, Hold, Rejected, Retry, Sink, Verdict

__all__ = [
    "KEEP_DAYS",
    "KEEP_RUNS",
    "NOT_SENT",
    "Delivered",
    "Delivery",
    "Figures",
    "Hold",
    "Journal",
    "JournalRun",
    "JsonlSink",
    "Rejected",
    "Retry",
    "RunInfo",
    "Sink",
    "Verdict",
]
