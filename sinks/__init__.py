"""Delivery: records in, each landed in every sink or accounted for."""

from .base import Delivered, Hold, Rejected, Retry, Sink, Verdict
from .delivery import Delivery, Figures
from .jsonl import JsonlSink

__all__ = [
    "Delivered",
    "Delivery",
    "Figures",
    "Hold",
    "JsonlSink",
    "Rejected",
    "Retry",
    "Sink",
    "Verdict",
]
