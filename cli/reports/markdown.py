"""`--format markdown`: the run in a page of GitHub's Markdown, for a job summary or a comment."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from ...records.outcomes import FAILED
from ...records.plural import counted
from ..output.markdown import code, code_block, escaped
from .wording import duration, figures, remarks, signed, skipped_for, status_of, text_of, title

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...consumer.causes import Cause
    from ...consumer.course.comparison import Change, Comparison
    from .picture import Picture

MOST_CAUSES: Final = 50
_MOST_NAMES: Final = 20
_LONGEST: Final = 4000
"""Characters of an error text."""
_SLOWEST: Final = 5
MARKS: Final = {
    "success": "✅",
    "warning": "⚠️",
    "failure": "❌",
    "skipped": "⏭️",
    "interrupted": "🛑",
}
_IS_RUNNING: Final = "⏳"


def markdown(picture: Picture, most_causes: int = MOST_CAUSES) -> str:
    """The run, with the texts of so many failures at most."""
    return "\n\n".join(_parts(picture, most_causes)) + "\n"


def _parts(picture: Picture, most_causes: int) -> Iterator[str]:
    outcomes = picture.outcomes
    yield f"## {_mark(picture)} dbt: {escaped(title(picture))}"
    yield code(shlex.join(picture.run.info.command))
    counts = ", ".join(f"{MARKS[o]} {count:,} {o}" for o, count in outcomes.items())
    facts = ", ".join(f"{value} {name}" for name, value in figures(picture).items())
    yield f"{counts or 'no nodes'} · {facts}"
    yield from (f"> {escaped(' '.join(remark.split()))}" for remark in remarks(picture))
    yield from _failures(picture, most_causes)
    yield from _slowest(picture)
    if picture.comparison is not None and picture.earlier is not None:
        yield from _comparison(picture.comparison, picture.earlier.number)


def _mark(picture: Picture) -> str:
    """The sign of the whole run. It is green only if the run is over."""
    mark = next((MARKS[o] for o in (*FAILED, "warning") if o in picture.outcomes), None)
    if mark is None and picture.run.state == "running":
        return _IS_RUNNING
    record = picture.run.record
    is_good = record is not None and not record.has_failed
    return mark or MARKS["success" if is_good else "failure"]


def _failures(picture: Picture, most: int) -> Iterator[str]:
    causes = picture.causes.found
    if causes:
        yield "### Failures"
    for cause in causes[:most]:
        yield _failure(picture, cause)
    if len(causes) > most:
        yield f"… and {counted(len(causes) - most, 'failure')} more"


def _failure(picture: Picture, cause: Cause) -> str:
    lines = [f"{code(cause.unique_id)} **{escaped(status_of(cause))}**"]
    file = picture.file_of(cause.record) if cause.record is not None else None
    if file is not None:
        lines.append(f"in {code(file)}")
    text = text_of(cause)
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}\n…"
    said = f"{' '.join(lines)}\n\n{code_block(shown)}"
    skipped = skipped_for(cause)
    return said if skipped is None else f"{said}\n\n{skipped}: {_names(cause.skipped)}"


def _slowest(picture: Picture) -> Iterator[str]:
    timed = [(node.execution_time or 0.0, node.unique_id) for node in picture.nodes]
    slowest = sorted((pair for pair in timed if pair[0]), reverse=True)[:_SLOWEST]
    if slowest:
        rows = (f"| {code(unique_id)} | {duration(seconds)} |" for seconds, unique_id in slowest)
        yield "\n".join(("### Slowest", "", "| node | time |", "|---|--:|", *rows))


def _comparison(found: Comparison, earlier: int) -> Iterator[str]:
    changes = (*found.slower[:_MOST_NAMES], *found.faster[:_MOST_NAMES])
    lists = {
        "failed now": found.broken,
        "mended": found.mended,
        "new": found.new,
        "gone": found.gone,
    }
    named = [f"- {name}: {_names(nodes)}" for name, nodes in lists.items() if nodes]
    if changes or named:
        yield f"### Changes since run {earlier}"
    if changes:
        head = ("| node | before | now | |", "|---|--:|--:|--:|")
        yield "\n".join((*head, *map(_row, changes)))
    if named:
        yield "\n".join(named)


def _row(change: Change) -> str:
    before, now = duration(change.before), duration(change.now)
    return f"| {code(change.unique_id)} | {before} | {now} | {signed(change.by)} |"


def _names(unique_ids: Sequence[str]) -> str:
    shown = ", ".join(map(code, unique_ids[:_MOST_NAMES]))
    more = len(unique_ids) - _MOST_NAMES
    return f"{shown} and {more:,} more" if more > 0 else shown
