"""Waiting for every node of a run whose id begins with a prefix: known only once dbt has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...records.schema import NodeRecord, RunRecord
from .decision import Decision, Producer, decide, is_of_this_try, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ...records.schema import Record
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
    A prefix is green only if every node of the run is known: else there is a decision on the run
    as well, under `RunRecord.key`.
    """
    is_cleared = not waiting.outlives_a_try
    producer = Producer(reader.state(waiting), reader.try_number(waiting), is_cleared)
    if not producer.has_ended:
        return {}
    found = records()
    its_run = found.get(RunRecord.key)
    run = its_run if isinstance(its_run, RunRecord) else None
    nodes = {key: record for key, record in found.items() if isinstance(record, NodeRecord)}
    of_run = {k: record for k, record in nodes.items() if is_of_this_try(record, run, producer)}
    whole = judge(run, producer, len(of_run), attempt=waiting.attempt, policy=waiting.policy)
    names = list(waiting.unique_ids)
    for prefix in prefixes:
        missing = [prefix] if whole is None else []
        names += [name for name in of_run if name.startswith(prefix)] or missing
    decided = {
        name: decide(
            name,
            nodes.get(name),
            run,
            producer,
            attempt=waiting.attempt,
            is_mended=_is_mended(name, nodes),
            policy=waiting.policy,
        )
        for name in names
    }
    return decided if whole is None else {**decided, RunRecord.key: whole}


def _is_mended(name: str, nodes: Mapping[str, NodeRecord]) -> bool:
    """Whether the node was skipped, and what it was skipped for has succeeded since."""
    node = nodes.get(name)
    if node is None or node.outcome != "skipped" or node.caused_by is None:
        return False
    cause = nodes.get(node.caused_by)
    return cause is not None and cause.has_succeeded
