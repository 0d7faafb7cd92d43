"""A record's time as a number."""

from __future__ import annotations

from datetime import datetime


def instant(time: str | None) -> float | None:
    """Seconds since 1970 of a record's time; None if it has none."""
    if time is None:
        return None
    try:
        # Python 3.10 does not read the Z.
        return datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None
