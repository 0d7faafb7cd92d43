"""Delivery of records: each record reaches every sink, or is counted with a reason."""

from .delivery import Delivery
from .journal.history import KEEP_DAYS, KEEP_RUNS
from .journal.journal import Journal
from .journal.rows import NOT_SENT, RunInfo
from .journal.run import JournalRun
from .jsonl import JsonlSink
from .outbox import Backlog, Figures
from .sink import Delivered, Hold, Rejected, Retry, Sink, Verdict

__all__ = [
    "KEEP_DAYS",
    "KEEP_RUNS",
    "NOT_SENT",
    "Backlog",
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
