"""The last deliveries of a run, once dbt has ended."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...records.schema import RunRecord
    from ...sinks import Delivery, Figures
    from .deadline import Deadline

_SOON: Final = 0.5
"""Seconds in which a server that keeps up takes the rest. The run's record then counts all of it,
and is written once."""
_START: Final = 5.0
"""Seconds at most that a short run may still need to load Airflow's client."""


def deliver_the_rest(delivery: Delivery, record: RunRecord, deadline: Deadline) -> list[Figures]:
    """Deliver what is left. The run's own record goes first: whoever waits for a node needs it.

    The record is in the journal at once, and counts what waits. Where the count has changed at the
    end, the record is put once more.
    """
    told = _put(delivery, record, 1)
    if not deadline.is_stopped:
        enough = _keeps_up(delivery, deadline)
        delivery.flush(min(_START, deadline.left), enough, order="run last")
        if _counts(delivery) != told:
            told = _put(delivery, record, 2)
    delivery.flush(deadline.left, deadline.is_over, order="worst first")
    if _counts(delivery) != told:
        deadline.extend()
        _put(delivery, record, 3)
        delivery.flush(deadline.left, deadline.is_over, order="worst first")
    return delivery.figures()


def _keeps_up(delivery: Delivery, deadline: Deadline) -> Callable[[], bool]:
    """Tells when to wait no longer for a server that may keep up."""
    until: list[float] = []

    def is_enough() -> bool:
        if delivery.is_under_way and not until:
            until.append(time.monotonic() + _SOON)
        return deadline.is_stopped or bool(until and time.monotonic() > until[0])

    return is_enough


def _put(delivery: Delivery, record: RunRecord, amendment: int) -> dict[str, dict[str, int]]:
    counts = _counts(delivery)
    delivery.put(replace(record, delivery=counts or None, sequence=record.sequence + amendment))
    return counts


def _counts(delivery: Delivery) -> dict[str, dict[str, int]]:
    return {figures.sink: figures.to_json() for figures in delivery.figures()}
