"""The batches of one microbatch model (dbt 1.9 and later)."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from ..records.values import number

_RESULT = re.compile(r"ERROR|PARTIAL SUCCESS \(\d+/\d+\)|SUCCESS")


def is_batches_result(message: str) -> bool:
    """Whether a message only sums up batches: `PARTIAL SUCCESS (4/5)`."""
    return _RESULT.fullmatch(message) is not None


class Batches:
    """The status of each batch that has ended, by index."""

    __slots__ = ("_counts", "_statuses", "_total")

    def __init__(self) -> None:
        self._statuses: dict[int, str] = {}
        self._counts = Counter[str]()
        self._total = 0

    def end(self, index: int, total: Any, status: str) -> None:
        """Take the end of a batch. A second end of the same batch replaces the first."""
        if index in self._statuses:
            self._counts[self._statuses[index]] -= 1
        self._statuses[index] = status
        self._counts[status] += 1
        self._total = number(total) or self._total

    def counted(self) -> dict[str, int]:
        """The number of batches by status, and their `total`."""
        counts = {"total": self._total or len(self._statuses)}
        for status, count in sorted(self._counts.items()):
            if count:
                counts[status] = counts.get(status, 0) + count
        return counts
