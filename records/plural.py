"""Numbers with their nouns, as people read them."""

from __future__ import annotations


def counted(number: int, one: str, several: str = "") -> str:
    """The number with the words for `one` thing or for `several`, by default `one` with an s.

    `counted(1, "record")` is "1 record"; `counted(2000, "record is", "records are")` is "2,000
    records are".
    """
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"
