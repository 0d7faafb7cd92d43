"""The root causes of what went wrong in a run: each with the nodes that dbt skipped for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..records.outcomes import FAILED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..records.schema import NodeRecord


@dataclass(frozen=True, slots=True)
class Cause:
    """A node that did not succeed, and the unique_ids of the nodes that dbt skipped for it.

    `record` is None for a failed node without a record.
    """

    unique_id: str
    record: NodeRecord | None
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Causes:
    """What went wrong in a run, root causes first.

    A node that was interrupted only shared the end of the run, so it comes after those that failed.
    Before others come the nodes that made dbt skip most. `unexplained` are the unique_ids of the
    nodes that were skipped, it is not known for which failure.
    """

    found: tuple[Cause, ...]
    unexplained: tuple[str, ...] = ()

    @classmethod
    def of(cls, records: Iterable[NodeRecord]) -> Causes:
        """The causes in the newest records of a run's nodes; others keep the order of `records`."""
        bad: dict[str, NodeRecord] = {}
        skipped: dict[str, list[str]] = {}
        unexplained: list[str] = []
        for record in records:
            if record.outcome in FAILED:
                bad[record.unique_id] = record
            elif record.outcome == "skipped" and record.caused_by is not None:
                skipped.setdefault(record.caused_by, []).append(record.unique_id)
            elif record.outcome == "skipped":
                unexplained.append(record.unique_id)
        found = [
            Cause(name, bad.get(name), tuple(skipped.get(name, ())))
            for name in dict.fromkeys((*bad, *skipped))
        ]
        return cls(tuple(sorted(found, key=_rank)), tuple(unexplained))


def _rank(cause: Cause) -> tuple[bool, int]:
    is_interrupted = cause.record is not None and cause.record.outcome == "interrupted"
    return is_interrupted, -len(cause.skipped)
