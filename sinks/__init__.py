"""Delivery: records in, each landed in every sink or accounted for."""

from .base import Delivered, Hold, Rejected, Retry, Sink, Verdict
from .delivery import Delivery, Figures
from .history import KEEP_DAYS, KEEP_RUNS
from .journal import Journal
from .journal_run import JournalRun
from .jsonl import JsonlSink
from .run_info import NOT_SENT, RunInfo

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
