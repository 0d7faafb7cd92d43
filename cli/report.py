"""What the relay says when the run is over."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final

import orjson

from ..parser.display import displayed, in_one_line
from ..parser.records import RunRecord

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..parser.records import NodeRecord
    from ..sinks import Figures, Journal

_FAILED_IN_SUMMARY: Final = 100


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


def delivery(records: int, figures: Sequence[Figures]) -> Iterator[str]:
    """A line for each sink: what was delivered, and by name what was not."""
    if not figures:
        yield f"relay: {_count(records, 'record')}"
    for of_sink in figures:
        line = f"relay: {_count(of_sink.records, 'record')}, {of_sink.delivered} delivered"
        if len(figures) > 1:
            line += f" to {of_sink.sink}"
        missing = (("waiting", of_sink.waiting), ("rejected", of_sink.rejected))
        yield line + "".join(f", {len(keys)} {word}" for word, keys in missing if keys)
        yield from _missing(of_sink)
        if of_sink.run_record is not None and not of_sink.waiting:
            yield f"relay: the record of the run itself is not delivered: {of_sink.run_record}"


def redelivery(run: str, before: Mapping[str, str], after: Figures) -> Iterator[str]:
    """What has become of the records that were waiting for one sink."""
    still = {**after.waiting, **after.rejected}
    if after.run_record is not None:
        still[RunRecord.key] = after.run_record
    line = f"relay: {run}: {_count(len(before.keys() - still.keys()), 'record')} delivered"
    left = len(before.keys() & still.keys())
    yield f"{line} to {after.sink}" + (f", {left} not" if left else "")
    yield from _missing(after)
    if after.run_record is not None:
        yield f"relay: the record of the run itself: {after.run_record}"


def _missing(figures: Figures) -> Iterator[str]:
    for word, keys in (("waiting", figures.waiting), ("rejected", figures.rejected)):
        by_reason: dict[str, list[str]] = {}
        for key, reason in keys.items():
            by_reason.setdefault(reason, []).append(key)
        for reason, names in by_reason.items():
            yield in_one_line(f"relay: {word}: {', '.join(names)}")
            yield in_one_line(f"relay:   {reason}")


def kept(journal: Journal, command: Sequence[str], figures: Sequence[Figures]) -> Iterator[str]:
    """What to do about what is left, and what no file has."""
    is_waiting = any(f.waiting or f.run_record for f in figures)
    if journal.file is not None and is_waiting:
        yield f"relay: what waits is kept; to deliver it: {shlex.join(command)}"
    elif journal.trouble is not None and journal.unkept:
        yield f"relay: {_count(journal.unkept, 'record')} are in no journal: {journal.trouble}"


def summary(
    outcomes: dict[str, int], failed: Sequence[NodeRecord], figures: Sequence[Figures]
) -> str:
    """The run in one line of JSON: Airflow makes a task's last line its `return_value`."""
    value: dict[str, Any] = {
        "nodes": outcomes,
        "failed": [record.unique_id for record in failed[:_FAILED_IN_SUMMARY]],
        "delivery": {f.sink: f.to_json() for f in figures},
    }
    if len(failed) > _FAILED_IN_SUMMARY:
        value["failed_omitted"] = len(failed) - _FAILED_IN_SUMMARY
    return orjson.dumps(value).decode()


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
