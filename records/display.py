"""Texts of others made safe to show: no text drives the terminal or folds Airflow's log."""

from __future__ import annotations

import re
from typing import Final

_SEQUENCE: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, the cursor, modes
    # OSC, DCS, SOS, PM and APC up to their end: window title, clipboard, links
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x00-\x1f\x7f-\x9f]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]"
)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Characters that reverse the direction of writing are among them: they can hide words."""

_FOLD: Final = re.compile(r"::(?=(?:end)?group::)")
_REPLACED: Final = "\ufffd"


def displayed(text: str) -> str:
    """The text without escape sequences, with a mark in place of each other control character.

    Lines and tabs stay. `::group::` becomes `: :group::`, because Airflow's log folds there
    (Airflow 3.3).
    """
    if text.isascii() and text.isprintable() and "::" not in text:
        return text
    text = _SEQUENCE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return _FOLD.sub(": :", _CONTROL.sub(_REPLACED, text))


def in_one_line(text: str) -> str:
    """The text as `displayed`, in one line: for a name, or a cell of a table."""
    return displayed(text).replace("\n", " ").replace("\t", " ")
