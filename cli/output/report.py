"""What the relay prints when a run is over."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final

import orjson

from ...records.display import displayed, in_one_line
from ...records.plural import counted
from ...records.schema import RunRecord
from ...sinks import NOT_SENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ...consumer.causes import Causes
    from ...records.schema import NodeRecord
    from ...sinks import Figures, Journal

_MOST_NAMES: Final = 20
"""In one line."""
_FEW_NAMES: Final = 3
_SLOWEST: Final = 5


def failures_title(causes: Causes) -> str:
    return f"{counted(len(causes.found), 'node')} did not succeed:"


def failures(causes: Causes) -> Iterator[str]:
    """The failed nodes with their full error texts, each with the nodes skipped for it."""
    for cause in causes.found:
        record = cause.record
        status = f" [{ending(record)}]" if record is not None else ""
        yield in_one_line(f"  {cause.unique_id}{status}")
        explanation = record.explanation if record is not None else None
        for line in displayed(explanation or "no error text").splitlines():
            yield f"    {line}"
        if cause.skipped:
            yield f"    {_skipped(cause.skipped)} for it: {_few(cause.skipped)}"
    if causes.unexplained:
        yield f"  {_skipped(causes.unexplained)} after this: {_few(causes.unexplained)}"


def ending(record: NodeRecord) -> str:
    """The word of dbt for a failed node; `interrupted` if the node did not fail by itself."""
    return record.outcome if record.outcome == "interrupted" else record.status


def not_run(missing: int | None, announced: int | None) -> Iterator[str]:
    """How many nodes a run has left out; nothing if there are none."""
    if missing and announced:
        yield f"dbt ended before it ran {missing:,} of {counted(announced, 'node')}."


def slowest(
    times: Mapping[str, float], usual: Callable[[Sequence[str]], Mapping[str, float]]
) -> Iterator[str]:
    """The slowest nodes of a run that has more than those, with their `usual` seconds.

    `times` are seconds by unique_id.
    """
    if len(times) <= _SLOWEST:
        return
    found = sorted(times, key=lambda name: times[name], reverse=True)[:_SLOWEST]
    known = usual(found)
    yield f"The slowest {_SLOWEST} of {counted(len(times), 'node')}:"
    for name in found:
        seconds = known.get(name)
        usually = f" (usually {seconds:.2f} s)" if seconds is not None else ""
        yield in_one_line(f"  {times[name]:8.2f} s  {name}{usually}")


def kept(records: int, command: Sequence[str]) -> str:
    """How many records a run without a sink has, and the `command` that draws the run."""
    line = f"relay: {counted(records, 'record')}"
    return f"{line}; a page of the run: {shlex.join(command)}" if command else line


def delivery(figures: Sequence[Figures], until: str) -> Iterator[str]:
    """For each sink how many records were delivered, and the names of the others with reasons.

    `until` says when delivering ended, as `before --flush-timeout (30 s)`.
    """
    for of_sink in figures:
        line = f"relay: {counted(of_sink.records, 'record')}, {of_sink.delivered:,} delivered"
        if len(figures) > 1:
            line += f" to {of_sink.sink}"
        missing = (("waiting", of_sink.waiting), ("rejected", of_sink.rejected))
        yield line + "".join(f", {len(keys):,} {word}" for word, keys in missing if keys)
        yield from _missing(of_sink, until)
        if of_sink.run_record is not None and not of_sink.waiting:
            reason = _reason(of_sink.run_record, of_sink, until)
            yield f"relay: the run's own record is not delivered: {reason}"


def unread(malformed: int, faults: int) -> Iterator[str]:
    """How many events of dbt's log were lost: `malformed` ones, and those that hit a bug."""
    if malformed:
        events = counted(malformed, "event")
        yield f"relay: could not read {events} of dbt's log, which arrived in pieces"
    if faults:
        yield (
            f"relay: dbt-relay failed on {counted(faults, 'event')}, so records may be missing: "
            "please report the traceback above"
        )


def redelivery(run: str, before: Mapping[str, str], after: Figures, until: str) -> Iterator[str]:
    """What became of the records that waited for one sink, by their keys `before`."""
    still = {**after.waiting, **after.rejected}
    if after.run_record is not None:
        still[RunRecord.key] = after.run_record
    line = f"relay: {run}: {counted(len(before.keys() - still.keys()), 'record')} delivered"
    left = len(before.keys() & still.keys())
    yield f"{line} to {after.sink}" + (f", {left:,} not" if left else "")
    yield from _missing(after, until)
    if after.run_record is not None:
        yield f"relay: the run's own record: {_reason(after.run_record, after, until)}"


def _missing(figures: Figures, until: str) -> Iterator[str]:
    for word, keys in (("waiting", figures.waiting), ("rejected", figures.rejected)):
        by_reason: dict[str, list[str]] = {}
        for key, reason in keys.items():
            by_reason.setdefault(reason, []).append(key)
        for reason, names in by_reason.items():
            yield in_one_line(f"relay: {word}: {_names(names)}")
            yield in_one_line(f"relay:   {_reason(reason, figures, until)}")


def _skipped(names: Sequence[str]) -> str:
    return f"{counted(len(names), 'node')} skipped"


def _few(names: Sequence[str]) -> str:
    return in_one_line(_names(names, _FEW_NAMES))


def _names(names: Sequence[str], most: int = _MOST_NAMES) -> str:
    more = len(names) - most
    shown = ", ".join(names[:most])
    return f"{shown} and {more:,} more" if more > 0 else shown


def _reason(reason: str, figures: Figures, until: str) -> str:
    """The reason, or the pace of the sink where it only was too slow."""
    if reason != NOT_SENT or figures.pace is None:
        return reason
    sink = "Airflow" if figures.sink in ("airflow", "cosmos") else figures.sink
    return f"not sent {until}: {sink} took {figures.pace:.1f} s a record"


def leftovers(
    journal: Journal, command: Sequence[str], figures: Sequence[Figures]
) -> Iterator[str]:
    """How to deliver the records that wait, or how many are lost because no file keeps them."""
    is_waiting = any(f.waiting or f.run_record for f in figures)
    if journal.file is not None and is_waiting:
        yield f"relay: waiting records are kept; to deliver them: {shlex.join(command)}"
    elif journal.trouble is not None and journal.only_in_memory:
        unkept = counted(journal.only_in_memory, "record is", "records are")
        yield f"relay: {unkept} in no journal: {journal.trouble}"


def summary(
    outcomes: dict[str, int], failed: Sequence[NodeRecord], figures: Sequence[Figures]
) -> dict[str, Any]:
    """The run in a few figures, which become the task's `return_value`."""
    value: dict[str, Any] = {
        "nodes": outcomes,
        "failed": [record.unique_id for record in failed[:_MOST_NAMES]],
        "delivery": {f.sink: f.to_json() for f in figures},
    }
    if len(failed) > _MOST_NAMES:
        value["failed_omitted"] = len(failed) - _MOST_NAMES
    return value


def in_one_line_of_json(summary: dict[str, Any]) -> str:
    """The summary as a line: Airflow stores the last line of a command as its `return_value`."""
    return orjson.dumps(summary).decode()
