"""Timestamps as times, and the reverse."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Final

_FRACTION: Final = re.compile(r"(?<=:\d\d)\.(\d+)")
_LONGEST: Final = 6
"""Digits of a fraction that a time keeps: microseconds."""


def moment(timestamp: str) -> datetime:
    """The time of a timestamp (RFC 3339), which is in UTC if it names no zone.

    ValueError for another text. Python 3.10 reads neither `Z` nor a fraction of other than three or
    six digits. dbt 1.x leaves out trailing zeros, and dbt v2 writes nine digits.
    """
    text = _FRACTION.sub(lambda found: f".{found[1][:_LONGEST]:0<6}", timestamp, count=1)
    at = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return at if at.tzinfo is not None else at.replace(tzinfo=timezone.utc)


def instant(timestamp: str | None) -> float | None:
    """Seconds since 1970 of a timestamp; None if it is no timestamp."""
    if timestamp is None:
        return None
    try:
        return moment(timestamp).timestamp()
    except ValueError:
        return None


def time_text(instant: float) -> str:
    """The time as RFC 3339 in UTC, to the millisecond: `2026-11-26T13:02:36.419Z`."""
    time = datetime.fromtimestamp(round(instant, 3), timezone.utc)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
