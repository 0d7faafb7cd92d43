"""The one queue that records pass through on their way to a sink."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ..parser.records import Record

NOT_SENT: Final = "not sent yet"


@dataclass(slots=True)
class _Entry:
    record: Record
    due: float = 0.0
    reason: str = NOT_SENT


class Outbox:
    """Records that wait for one sink. The newest record of a key replaces an older one.

    Holds no clock and no lock: the caller gives the time in seconds and calls from one thread at
    a time. A record is leased, then settled in one of four ways; nothing else takes it out.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, _Entry] = {}
        self._leased: dict[str, _Entry] = {}
        self._keys: set[str] = set()
        self._delivered: set[str] = set()
        self._rejected: dict[str, str] = {}

    def put(self, record: Record, now: float) -> None:
        """Take a record that is new, or newer than the one of its key that was put before."""
        key = record.key
        self._keys.add(key)
        self._delivered.discard(key)
        self._rejected.pop(key, None)
        entry = self._waiting.get(key)
        if entry is None:
            self._waiting[key] = _Entry(record, now)
        else:
            entry.record = record

    def lease(self, now: float) -> Record | None:
        """The record that is due and has waited longest, if any. It has to be settled."""
        for key, entry in self._waiting.items():
            if entry.due <= now and key not in self._leased:
                self._leased[key] = self._waiting.pop(key)
                return entry.record
        return None

    def acknowledge(self, record: Record) -> None:
        """The sink has it."""
        del self._leased[record.key]
        if record.key not in self._waiting:
            self._delivered.add(record.key)

    def bury(self, record: Record, reason: str) -> None:
        """The sink will never take it."""
        del self._leased[record.key]
        if record.key not in self._waiting:
            self._rejected[record.key] = reason

    def put_back(self, record: Record, due: float, reason: str) -> None:
        """Try it again at `due`, or the newer one of its key if that came meanwhile."""
        entry = self._leased.pop(record.key)
        entry.due, entry.reason = due, reason
        newer = self._waiting.pop(record.key, None)
        if newer is not None:
            entry.record = newer.record
        self._waiting[record.key] = entry

    def next_due(self) -> float | None:
        """When the next record may be leased; None if none can be before another is settled."""
        free = (entry.due for key, entry in self._waiting.items() if key not in self._leased)
        return min(free, default=None)

    @property
    def is_idle(self) -> bool:
        return not self._waiting and not self._leased

    @property
    def is_sending(self) -> bool:
        return bool(self._leased)

    @property
    def keys(self) -> set[str]:
        """Every key that was ever put."""
        return self._keys

    @property
    def delivered(self) -> set[str]:
        return self._delivered

    @property
    def rejected(self) -> dict[str, str]:
        """Keys with the sink's reason."""
        return self._rejected

    @property
    def waiting(self) -> dict[str, str]:
        """Keys not delivered yet, with the reason of the last try."""
        entries = {**self._waiting, **self._leased}
        return {key: entry.reason for key, entry in entries.items()}
