"""Timestamps of every dbt and of Airflow, on every Python."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from dbt_relay.records.instant import instant, moment, time_text


@pytest.mark.parametrize(
    ("timestamp", "microsecond"),
    [
        ("2026-01-02T03:04:05Z", 0),
        ("2026-01-02T03:04:05.5Z", 500_000),
        ("2026-01-02T03:04:05.123Z", 123_000),
        ("2026-01-02T03:04:05.12345Z", 123_450),
        ("2026-01-02T03:04:05.123456Z", 123_456),
        ("2026-01-02T03:04:05.123456789Z", 123_456),
        ("2026-01-02T03:04:05.123456", 123_456),
        ("2026-01-02T05:04:05.5+02:00", 500_000),
        ("2026-01-02 03:04:05.5", 500_000),
    ],
)
def test_every_number_of_digits_is_read(timestamp: str, microsecond: int) -> None:
    expected = datetime(2026, 1, 2, 3, 4, 5, microsecond, tzinfo=timezone.utc)
    assert moment(timestamp) == expected
    assert instant(timestamp) == expected.timestamp()


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T00:00:00Z", "03:04:05.5"])
def test_another_text_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        moment(text)
    assert instant(text) is None


def test_a_time_as_text() -> None:
    assert instant(None) is None
    assert time_text(instant("2026-11-26T13:02:36.4194Z") or 0.0) == "2026-11-26T13:02:36.419Z"
