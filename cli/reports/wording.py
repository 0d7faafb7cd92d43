"""The words and figures that every format of a report shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ...records.plural import counted
from ..output import report

if TYPE_CHECKING:
    from ...consumer.causes import Cause
    from ...records.schema import NodeRecord
    from .picture import Picture


MINUS: Final = "\u2212"
_ENDS: Final = {
    "failure": "failed",
    "interrupted": "interrupted",
    "skipped": "skipped",
    "warning": "with a warning",
    "success": "succeeded",
}


def duration(seconds: float) -> str:
    """`12 ms`, `4.2 s`, `3 m 04 s` or `1 h 02 m`."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} m {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} m"


def signed(seconds: float) -> str:
    """A change: its sign and its duration."""
    return f"{'+' if seconds > 0 else MINUS}{duration(abs(seconds))}"


def when(time: str | None) -> str:
    """A time of a record to the second: `2026-11-26 13:02:36 UTC`."""
    return f"{time[:19].replace('T', ' ')} UTC" if time else "?"


def rows_of(node: NodeRecord) -> int | None:
    """The rows that a node wrote, or the rows for which a test failed; None if nothing says."""
    rows = (node.adapter_response or {}).get("rows_affected")
    if isinstance(rows, int) and not isinstance(rows, bool) and rows >= 0:
        return rows
    return node.failures


def text_of(cause: Cause) -> str:
    """What a person should read of a failure."""
    if cause.record is None:
        return "this node failed and has no record"
    return cause.record.explanation or "dbt gave no error text"


def status_of(cause: Cause) -> str:
    return report.ending(cause.record) if cause.record is not None else "failed"


def skipped_for(cause: Cause) -> str | None:
    """How many nodes were skipped for a failure; None if there is none."""
    number = len(cause.skipped)
    return f"{counted(number, 'node was', 'nodes were')} skipped for it" if number else None


def title(picture: Picture) -> str:
    return f"Run {picture.run.number}: {picture.result}"


def headline(picture: Picture) -> str:
    """The run in a line: `Run 17: exit 1, 2 failed, 1 skipped, 21 succeeded`."""
    counts = picture.outcomes
    said = [f"{counts[outcome]:,} {word}" for outcome, word in _ENDS.items() if outcome in counts]
    return ", ".join((title(picture), *said))


def figures(picture: Picture) -> dict[str, str]:
    """The run in a few figures, each with its name."""
    if not picture.spans:
        return {}
    pool = [lane for lane in picture.lanes if lane.is_of_pool]
    busy = sum(lane.busy for lane in pool)
    start_up = picture.start_up
    found = {"in all": duration(picture.seconds + (start_up or 0.0))}
    if start_up is not None:
        found["until the first node"] = duration(start_up)
    if pool and picture.seconds:
        found[f"busy, of {counted(len(pool), 'thread')}"] = (
            f"{100 * busy / (len(pool) * picture.seconds):.0f} %"
        )
    if picture.critical_path:
        seconds = sum(picture.spans[unique_id].seconds for unique_id in picture.critical_path)
        found["critical path"] = duration(seconds)
    return found


def remarks(picture: Picture) -> list[str]:
    """What a reader has to know, because the run is not whole."""
    said: list[str] = []
    run, record = picture.run, picture.run.record
    if run.state == "running":
        said.append("The run goes on: this is what was known when the report was written.")
    if record is not None and record.message:
        said.append(record.message)
    elif run.died_unnoticed:
        said.append("The relay was killed before dbt had ended.")
    if record is not None and run.state != "running":
        said += report.not_run(record.missing, record.announced)
    carried = sum(node.resumed_from is not None for node in picture.nodes)
    if carried:
        ran = counted(carried, "node")
        said.append(f"An earlier try ran {ran} of these; this try published the results again.")
    if picture.remark is not None and picture.nodes:
        said.append(f"{picture.remark}.")
    if unexplained := len(picture.causes.unexplained):
        skipped = counted(unexplained, "node was", "nodes were")
        said.append(f"{skipped} skipped, and dbt's log does not say why.")
    return said
