"""Checks, and the tables for the docs that say how they ended."""

from __future__ import annotations

import sys
import time
import traceback
from datetime import datetime, timezone
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FAILED = "**failed**"

Subject = TypeVar("Subject")


def results(name: str, checks: Iterable[Callable[[Subject], None]], subject: Subject) -> str:
    """How each check of the subject ended. Says so on stderr, and why a check failed."""
    found: list[str] = []
    for check in checks:
        began_at = time.monotonic()
        try:
            check(subject)
        except Exception:
            print(f"{name}: {check.__name__}\n{traceback.format_exc()}", file=sys.stderr)
            found.append(f"{check.__name__} {FAILED}")
        else:
            found.append(f"{check.__name__} ok")
        print(f"{name}: {found[-1]} ({time.monotonic() - began_at:.0f} s)", file=sys.stderr)
    return ", ".join(found)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table with the date of today in front of each row."""
    titles = ["date", *head]
    today = datetime.now(timezone.utc).date().isoformat()
    lines = [f"| {' | '.join(line)} |" for line in (titles, *([today, *row] for row in rows))]
    return "\n".join([lines[0], "|---" * len(titles) + "|", *lines[1:]])
