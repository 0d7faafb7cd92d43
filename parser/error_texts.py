"""The error texts of one node that came apart from its end."""

from __future__ import annotations

from typing import Final

from ..records.plural import counted

_SHOWN: Final = 5


class ErrorTexts:
    """The different error texts of a node. A record shows the first five in alphabetical order."""

    __slots__ = ("_all", "_first")

    def __init__(self) -> None:
        self._all: set[str] = set()
        self._first: list[str] = []

    def add(self, text: str) -> None:
        if text not in self._all:
            self._all.add(text)
            # To sort all texts again for each new text would take too long.
            self._first = sorted([*self._first, text])[:_SHOWN]

    def lines(self) -> list[str]:
        """The texts to show, and a line that counts the others."""
        left = len(self._all) - len(self._first)
        if not left:
            return [*self._first]
        rest = counted(left, "more error of a batch", "more errors of batches")
        return [*self._first, f"… and {rest}"]
