"""Waiting for every node of a run whose id begins with a prefix: known only once dbt has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..parser.records import NodeRecord, RunRecord
from .decision import Decision, Producer, decide

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..parser.records import Record
    from .look import Reader, Waiting


def look_at_prefixes(
    waiting: Waiting,
    reader: Reader,
    prefixes: Sequence[str],
    records: Callable[[], Mapping[str, Record]],
) -> dict[str, Decision]:
    """What is decided of each node, empty while dbt's task goes on, which costs one call.

    `records` reads every record of the run, by `record.key`. A prefix that no node begins with is a
    node that was not part of the run. Nodes that are waited for by name are decided with the rest.
    """
    producer = Producer(reader.state(waiting), reader.try_number(waiting))
    if not producer.has_ended:
        return {}
    found = records()
    nodes = {key: record for key, record in found.items() if isinstance(record, NodeRecord)}
    run = found.get(RunRecord.key)
    names = list(waiting.unique_ids)
    for prefix in prefixes:
        names += [name for name in nodes if name.startswith(prefix)] or [prefix]
    return {
        name: decide(
            name,
            nodes.get(name),
            run if isinstance(run, RunRecord) else None,
            producer,
            attempt=waiting.attempt,
            is_mended=_is_mended(name, nodes),
            policy=waiting.policy,
        )
        for name in names
    }


def _is_mended(name: str, nodes: Mapping[str, NodeRecord]) -> bool:
    """Whether the node was skipped, and what it was skipped for has succeeded since."""
    node = nodes.get(name)
    if node is None or node.outcome != "skipped" or node.caused_by is None:
        return False
    cause = nodes.get(node.caused_by)
    return cause is not None and cause.has_succeeded
