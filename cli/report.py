"""What the relay says when the run is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..parser.records import NodeRecord
    from ..sinks import Figures

_LISTED = 20


def failures(failed: list[NodeRecord], dbt_summary: str | None) -> Iterator[str]:
    """The failed nodes once more with their full texts, then dbt's own count of the run."""
    if not failed:
        return
    yield ""
    yield f"{len(failed)} {'node' if len(failed) == 1 else 'nodes'} did not succeed:"
    for record in failed:
        yield f"  {record.unique_id}  [{record.status}]"
        for line in (record.message or "no error text").splitlines():
            yield f"    {line}"
    if dbt_summary:
        yield dbt_summary


def delivery(figures: Figures) -> Iterator[str]:
    """One line on delivery; what was not delivered by name, with the reason."""
    line = f"relay: {_count(figures.records, 'record')}, {figures.delivered} delivered"
    for word, lost in (("waiting", figures.waiting), ("rejected", figures.rejected)):
        if lost:
            line += f", {len(lost)} {word}"
    yield line
    for word, lost in (("not delivered", figures.waiting), ("rejected", figures.rejected)):
        for key, reason in list(lost.items())[:_LISTED]:
            yield f"relay: {word}: {key}: {reason}"
        if len(lost) > _LISTED:
            yield f"relay: {word}: {', '.join(list(lost)[_LISTED:])}"


def summary(outcomes: dict[str, int], failed: list[NodeRecord], figures: Figures) -> str:
    """The run in one line of JSON: the last line of an Airflow task is its `return_value`."""
    value: dict[str, Any] = {
        "nodes": outcomes,
        "failed": [record.unique_id for record in failed],
        "delivery": figures_json(figures),
    }
    return orjson.dumps(value).decode()


def figures_json(figures: Figures) -> dict[str, int]:
    return {
        "records": figures.records,
        "delivered": figures.delivered,
        "waiting": len(figures.waiting),
        "rejected": len(figures.rejected),
    }


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
