"""Texts of others in Markdown: they read as they are, and format nothing."""

from __future__ import annotations

import re
from typing import Final

from ...records.display import displayed, in_one_line

_SPECIAL: Final = re.compile(r"[\\`*\[\]~]|(?<!\w)_+|_+(?!\w)")
_ENTITY: Final = re.compile(r"&(?=#?\w+;)")
_TICKS: Final = re.compile(r"`+")


def escaped(text: str) -> str:
    """The text, escaped so that Markdown shows it as it is.

    Underscores inside words stay: they mean nothing in Markdown, and names are full of them. HTML
    is escaped too: Airflow drops it, other renderers may not.
    """
    text = _SPECIAL.sub(lambda found: "".join(f"\\{c}" for c in found[0]), text)
    return _ENTITY.sub("&amp;", text).replace("<", "&lt;")


def code(text: str) -> str:
    """The text as code within a line."""
    text = in_one_line(text).replace("|", "¦")  # a table ends its cell there, in code too
    ticks = _fence(text, 1)
    pad = " " if "`" in text else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def code_block(text: str) -> str:
    text = displayed(text)
    fence = _fence(text, 3)
    return f"{fence}text\n{text}\n{fence}"


def _fence(text: str, least: int) -> str:
    """More backticks than the text has in a row."""
    longest = max((len(found) for found in _TICKS.findall(text)), default=0)
    return "`" * max(least, longest + 1)
