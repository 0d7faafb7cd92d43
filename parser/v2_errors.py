"""The errors of dbt v2: its logged text, cut to the text that `run_results.json` has.

dbt v2 logs `[error] [DbDriverFailed (dbt1308)]: Database Error in model …`, then for some errors a
line `  --> models/orders.sql:1:11`, then a Rust backtrace.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

NODE_CANCELLED: Final = "dbt1404"
RUN_CANCELLED: Final = "dbt8995"
"""Codes of dbt v2 (`TaskCancelled`, `OperationCanceled` in crates/dbt-error/src/codes.rs)."""

_HEAD: Final = re.compile(r"\s*\[(?:error|warning)\](?: \[\w+ \((dbt\d+)\)\])?: ")
_FIRST_FRAME: Final = "\n   0: "
_FRAME: Final = re.compile(r" +\d+: .*| +at .*|")
_LOCATION: Final = re.compile(r"  --> \S.*:\d+:\d+")


@dataclass(frozen=True, slots=True)
class V2Error:
    """The text for a person, and the error's code (`dbt1308`) if dbt logged one."""

    text: str
    code: str | None

    @classmethod
    def parse(cls, logged: str) -> V2Error:
        """The error in the `msg` of an event. A text of another form is its own text."""
        head = _HEAD.match(logged)
        text = _without_backtrace(logged[head.end() :] if head else logged)
        before, newline, last = text.rpartition("\n")
        if newline and _LOCATION.fullmatch(last):
            text = before
        return cls(text, head[1] if head else None)


def _without_backtrace(text: str) -> str:
    start = text.rfind(_FIRST_FRAME)
    if start < 0 or not all(_FRAME.fullmatch(line) for line in text[start + 1 :].split("\n")):
        return text
    return text[:start]
