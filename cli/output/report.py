"""What the relay says when the run is over."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final

import orjson

from ...records.display import displayed, in_one_line
from ...records.schema import RunRecord
from ...sinks import NOT_SENT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ...records.schema import NodeRecord
    from ...sinks import Figures, Journal

_MOST_NAMES: Final = 20
"""In one line."""


def failures(failed: Sequence[NodeRecord], dbt_summary: str | None) -> Iterator[str]:
    """The failed nodes once more with their full texts, then dbt's own count of the run."""
    if not failed:
        return
    yield ""
    yield f"{_count(len(failed), 'node')} did not succeed:"
    for record in failed:
        yield in_one_line(f"  {record.unique_id} [{record.status}]")
        for line in displayed(record.message or "no error text").splitlines():
            yield f"    {line}"
    if dbt_summary:
        yield displayed(dbt_summary)


def delivery(records: int, figures: Sequence[Figures], until: str) -> Iterator[str]:
    """A line for each sink: what was delivered, and by name what was not. `until` says when the
    deliveries were over."""
    if not figures:
        yield f"relay: {_count(records, 'record')}"
    for of_sink in figures:
        line = f"relay: {_count(of_sink.records, 'record')}, {of_sink.delivered:,} delivered"
        if len(figures) > 1:
            line += f" to {of_sink.sink}"
        missing = (("waiting", of_sink.waiting), ("rejected", of_sink.rejected))
        yield line + "".join(f", {len(keys):,} {word}" for word, keys in missing if keys)
        yield from _missing(of_sink, until)
        if of_sink.run_record is not None and not of_sink.waiting:
            reason = _reason(of_sink.run_record, of_sink, until)
            yield f"relay: the record of the run itself is not delivered: {reason}"


def unread(malformed: int, faults: int) -> Iterator[str]:
    """What of dbt's log could not be read."""
    if malformed:
        verb = "was" if malformed == 1 else "were"
        yield (
            f"relay: {_count(malformed, 'event')} of dbt's log arrived in pieces and {verb} not "
            "read"
        )
    if faults:
        yield (
            f"relay: {_count(faults, 'event')} ran into a fault of dbt-relay (please report the "
            "traceback above); records may be missing"
        )


def redelivery(run: str, before: Mapping[str, str], after: Figures, until: str) -> Iterator[str]:
    """What has become of the records that were waiting for one sink."""
    still = {**after.waiting, **after.rejected}
    if after.run_record is not None:
        still[RunRecord.key] = after.run_record
    line = f"relay: {run}: {_count(len(before.keys() - still.keys()), 'record')} delivered"
    left = len(before.keys() & still.keys())
    yield f"{line} to {after.sink}" + (f", {left:,} not" if left else "")
    yield from _missing(after, until)
    if after.run_record is not None:
        yield f"relay: the record of the run itself: {_reason(after.run_record, after, until)}"


def _missing(figures: Figures, until: str) -> Iterator[str]:
    for word, keys in (("waiting", figures.waiting), ("rejected", figures.rejected)):
        by_reason: dict[str, list[str]] = {}
        for key, reason in keys.items():
            by_reason.setdefault(reason, []).append(key)
        for reason, names in by_reason.items():
            yield in_one_line(f"relay: {word}: {_names(names)}")
            yield in_one_line(f"relay:   {_reason(reason, figures, until)}")


def _names(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    shown = ", ".join(names[:_MOST_NAMES])
    return f"{shown} and {more:,} more" if more > 0 else shown


def _reason(reason: str, figures: Figures, until: str) -> str:
    """Of a sink that works, and of which nothing else is to be said, how fast it is."""
    if reason != NOT_SENT or figures.pace is None:
        return reason
    sink = "Airflow" if figures.sink in ("airflow", "cosmos") else figures.sink
    return f"not sent {until}: {sink} took {figures.pace:.1f} s a record"


def kept(journal: Journal, command: Sequence[str], figures: Sequence[Figures]) -> Iterator[str]:
    """What to do about what is left, and what no file has."""
    is_waiting = any(f.waiting or f.run_record for f in figures)
    if journal.file is not None and is_waiting:
        yield f"relay: what waits is kept; to deliver it: {shlex.join(command)}"
    elif journal.trouble is not None and journal.only_in_memory:
        lost = journal.only_in_memory
        verb = "is" if lost == 1 else "are"
        yield f"relay: {_count(lost, 'record')} {verb} in no journal: {journal.trouble}"


def summary(
    outcomes: dict[str, int], failed: Sequence[NodeRecord], figures: Sequence[Figures]
) -> str:
    """The run in one line of JSON: Airflow makes a task's last line its `return_value`."""
    value: dict[str, Any] = {
        "nodes": outcomes,
        "failed": [record.unique_id for record in failed[:_MOST_NAMES]],
        "delivery": {f.sink: f.to_json() for f in figures},
    }
    if len(failed) > _MOST_NAMES:
        value["failed_omitted"] = len(failed) - _MOST_NAMES
    return orjson.dumps(value).decode()


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
