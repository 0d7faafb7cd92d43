"""A record's time as a number, and the reverse."""

from __future__ import annotations

from datetime import datetime, timezone


def instant(time: str | None) -> float | None:
    """Seconds since 1970 of a record's time; None if it has none."""
    if time is None:
        return None
    try:
        # Python 3.10 does not read the Z.
        return datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None


def time_text(instant: float) -> str:
    """The time as RFC 3339 in UTC, to the millisecond: `2026-11-26T13:02:36.419Z`."""
    time = datetime.fromtimestamp(round(instant, 3), timezone.utc)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
