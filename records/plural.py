"""Numbers with their nouns, as people read them."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """The number and its noun: `1 record`, `1,200 records`. The noun's plural ends in `s`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
