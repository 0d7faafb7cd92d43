"""Which of two records is older, and the start times that decide it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .schema import NodeRecord
from .values import number, text

if TYPE_CHECKING:
    from .schema import Record


def is_older(record: Record, than: Record) -> bool:
    """Whether `record` must not replace `than`, an existing record of the same key.

    The attempts decide first, then the start times (of dbt's invocation for a node, of the run for
    a run record), then the sequences. A value that either record lacks decides nothing. Two records
    of one invocation compare without start times, because the clock may have been set back in it.
    """
    is_same = record.invocation_id is not None and record.invocation_id == than.invocation_id
    for mine, theirs in zip(_age(record, is_same), _age(than, is_same), strict=True):
        if mine is not None and theirs is not None and mine != theirs:
            return mine < theirs
    return False


def _age(record: Record, is_same_invocation: bool) -> tuple[Any, ...]:
    started = record.invocation_started_at if isinstance(record, NodeRecord) else record.started_at
    started = None if is_same_invocation else text(started)
    return (
        number(record.attempt),
        sortable_time(started) if started else None,
        number(record.sequence),
    )


def start_after(started_at: str | None, previous: str | None) -> str | None:
    """The start time of an invocation, as a time after the `previous` invocation's start.

    Returns `started_at` unchanged, or `previous` and a microsecond at most if the clock was set
    back between the two.
    """
    if (
        started_at is None
        or previous is None
        or sortable_time(started_at) > sortable_time(previous)
    ):
        return started_at
    whole, _, fraction = sortable_time(previous).partition(".")
    if not fraction.isdecimal():
        return started_at
    microseconds = int(fraction[:6]) + 1
    # In the last microsecond of a second one more digit makes a later time in the same second.
    return f"{whole}.{microseconds:06d}Z" if microseconds < 10**6 else f"{whole}.{fraction}1Z"


def sortable_time(timestamp: str) -> str:
    """An RFC 3339 timestamp in UTC as a text that sorts by time: with nine digits of a second.

    dbt omits trailing zeros of the fraction.
    """
    whole, _, fraction = timestamp.rstrip("Z").partition(".")
    return f"{whole}.{fraction:0<9}"
