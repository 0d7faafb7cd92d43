"""What others wrote, as it may be shown: no text of theirs drives a terminal, or folds a log."""

from __future__ import annotations

import re
from typing import Final

_SEQUENCE: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, the cursor, modes
    # OSC and its like, up to their end: the window's title, the clipboard, links
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x00-\x1f\x7f-\x9f]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]"
)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Also what turns the direction of writing, and so hides what is said."""

_FOLD: Final = re.compile(r"::(?=(?:end)?group::)")
_REPLACED: Final = "\ufffd"


def displayed(text: str) -> str:
    """A text with its lines and tabs, and neither escape sequences nor other control characters.

    Airflow's log folds at each line with `::group::` in it, so that is broken up (Airflow 3.3).
    """
    if text.isascii() and text.isprintable() and "::" not in text:
        return text
    text = _SEQUENCE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return _FOLD.sub(": :", _CONTROL.sub(_REPLACED, text))


def in_one_line(text: str) -> str:
    """The same of what must not be of several lines: a name, a cell of a table."""
    return displayed(text).replace("\n", " ").replace("\t", " ")
