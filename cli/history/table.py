"""A table in plain text: a column of names, figures to the right of it, remarks below a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_INDENT: Final = "  "
_OF_WORDS: Final = frozenset({"SINCE", "LAST FAILED", ""})
"""The heads of the columns whose cells are words: they begin at one place, figures end at one."""
_LEAST_NAME: Final = 12
"""Columns that a name keeps on the narrowest terminal."""


def table(
    head: Sequence[str], rows: Sequence[tuple[Sequence[str], str]], width: int
) -> Iterator[str]:
    """The lines of a table. Each row has cells and a remark, which is empty for most.

    The first column gives way if the table is wider than `width`: a long name loses its middle.
    """
    columns = [*zip(head, *(cells for cells, _ in rows), strict=True)]
    widths = [max(map(len, column)) for column in columns]
    others = sum(width + len(_INDENT) for width in widths[1:])
    widths[0] = max(_LEAST_NAME, min(widths[0], width - len(_INDENT) - others))
    are_words = [not place or name in _OF_WORDS for place, name in enumerate(head)]
    for cells, remark in ((head, ""), *rows):
        padded = [
            cut(cell, width).ljust(width) if is_word else cell.rjust(width)
            for cell, width, is_word in zip(cells, widths, are_words, strict=True)
        ]
        yield (_INDENT + _INDENT.join(padded)).rstrip()
        if remark:
            yield f"{_INDENT * 2}{remark}"


def cut(text: str, width: int) -> str:
    """The text in at most `width` columns, with `…` for its middle."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail]}…{text[len(text) - tail :]}"
