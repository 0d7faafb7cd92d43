"""The text of the task's note that `run --note` writes: counts, and why each node failed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ...records.display import displayed, in_one_line
from ...records.plural import counted
from .markdown import escaped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...records.schema import NodeRecord, RunRecord

LIMIT: Final = 1000
"""Characters that Airflow 3 accepts in a note."""

_LONGEST_LINE: Final = 200
_HEADINGS: Final = 3
_TRACEBACK: Final = "Traceback (most recent call last):"
_OURS: Final = re.compile(r"^dbt-relay: .*?(?:\n\n|\Z)", re.MULTILINE | re.DOTALL)
_HALF: Final = re.compile(r"(?<!\\)(?:\\\\)*\\\Z|&[a-z]*\Z")
"""Half of an escaped character, as a cut may leave it at the end."""


def task_note(run: RunRecord, failed: Sequence[NodeRecord]) -> Callable[[str], str | None]:
    """A function that makes the run's new note from the task's current one ('' for none).

    A person's words are kept and stand first. The relay's text of an earlier try is replaced. The
    function returns None if a person's words leave no room. Airflow shows notes as Markdown, so
    names and dbt's texts are escaped, and failed nodes are a list.
    """

    def new_note(current: str) -> str | None:
        theirs = _OURS.sub("", current).strip()
        before = f"{theirs}\n\n" if theirs else ""
        ours = _fitting(LIMIT - len(before), _heading(run), [_line(node) for node in failed])
        return before + ours if ours else None

    return new_note


def telling_line(message: str) -> str:
    """The line of dbt's message that says most.

    dbt puts a heading such as `Database Error in model …` above the text, and indents the text.
    Of a traceback of Python the last line says most.
    """
    lines = [line for line in displayed(message).splitlines() if line.strip()]
    if any(_TRACEBACK in line for line in lines[: 2 * _HEADINGS]):
        return lines[-1].strip()
    at = next((n for n, line in enumerate(lines[:_HEADINGS]) if line[0] == " "), 0)
    told = " ".join(line.strip() for line in lines[at : at + 1])
    if told.endswith(":") and len(lines) > at + 1:
        told += " " + lines[at + 1].strip()
    return told


def _heading(run: RunRecord) -> str:
    nodes = {outcome: n for outcome, n in (run.nodes or {}).items() if n}
    total = sum(nodes.values())
    line = f"dbt-relay: {counted(total, 'node')}"
    if nodes:
        line += ": " + ", ".join(f"{n} {outcome}" for outcome, n in nodes.items())
    if run.attempt is not None and run.attempt > 1:
        resumed = f", which resumed try {run.resumed_from}" if run.resumed_from else ""
        line += f" (try {run.attempt}{resumed})"
    if run.message:
        line += f"; {escaped(telling_line(run.message))}"
    return _cut(line)


def _line(node: NodeRecord) -> str:
    name, told = in_one_line(node.unique_id), telling_line(node.explanation or node.status)
    return _cut(f"- {escaped(name)}: {escaped(told)}")


def _cut(line: str) -> str:
    if len(line) <= _LONGEST_LINE:
        return line
    return _HALF.sub("", line[: _LONGEST_LINE - 2]) + " …"


def _fitting(room: int, heading: str, lines: Sequence[str]) -> str:
    """The heading with as many lines as fit, and a count of the rest; '' if nothing fits.

    `room` is in characters.
    """
    for shown in range(len(lines), -1, -1):
        rest = [f"- … and {len(lines) - shown} more"] if shown < len(lines) else []
        text = "\n".join([heading, *lines[:shown], *rest])
        if len(text) <= room:
            return text
    return ""
