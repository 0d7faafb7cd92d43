"""What the relay says when the run is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..parser.records import NodeRecord
    from ..sinks import Figures

_FAILED_IN_SUMMARY: Final = 100


def failures(failed: Sequence[NodeRecord], dbt_summary: str | None) -> Iterator[str]:
    """The failed nodes once more with their full texts, then dbt's own count of the run."""
    if not failed:
        return
    yield ""
    yield f"{_count(len(failed), 'node')} did not succeed:"
    for record in failed:
        yield f"  {record.unique_id} [{record.status}]"
        for line in (record.message or "no error text").splitlines():
            yield f"    {line}"
    if dbt_summary:
        yield dbt_summary


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
        for word, keys in missing:
            by_reason: dict[str, list[str]] = {}
            for key, reason in keys.items():
                by_reason.setdefault(reason, []).append(key)
            for reason, names in by_reason.items():
                yield f"relay: {word}: {', '.join(names)}"
                yield f"relay:   {reason}"
        if of_sink.run_record is not None and not of_sink.waiting:
            yield f"relay: the record of the run itself is not delivered: {of_sink.run_record}"


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
