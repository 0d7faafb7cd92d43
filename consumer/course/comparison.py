"""What changed between two runs of the same command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ...records.outcomes import FAILED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ...records.schema import NodeRecord

LEAST_SECONDS: Final = 0.5
LEAST_SHARE: Final = 0.2
"""A node counts as slower or faster from half a second and a fifth of its time on."""


@dataclass(frozen=True, slots=True)
class Change:
    """A node's time now and before, in seconds."""

    unique_id: str
    before: float
    now: float

    @property
    def by(self) -> float:
        return self.now - self.before


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs. `slower` and `faster` begin with the largest change.

    `broken` names nodes that failed now and not before, `mended` the reverse. `new` names nodes
    that only this run has, `gone` those that only the earlier run has.
    """

    slower: tuple[Change, ...]
    faster: tuple[Change, ...]
    broken: tuple[str, ...]
    mended: tuple[str, ...]
    new: tuple[str, ...]
    gone: tuple[str, ...]


def compare(
    now: Iterable[NodeRecord], before: Mapping[str, NodeRecord], *, is_whole: bool = True
) -> Comparison:
    """`before` has the records of the earlier run by unique_id.

    Times are compared only where both runs ran the node and it succeeded: a failed node's time says
    how soon it failed. If this run is not whole, no node is gone: it has not run.
    """
    present = {record.unique_id: record for record in now}
    both = [(record, before[u]) for u, record in present.items() if u in before]
    changes = [change for pair in both if (change := _change(*pair)) is not None]
    return Comparison(
        tuple(sorted((c for c in changes if c.by > 0), key=lambda c: -c.by)),
        tuple(sorted((c for c in changes if c.by < 0), key=lambda c: c.by)),
        tuple(r.unique_id for r, old in both if r.outcome in FAILED and old.has_succeeded),
        tuple(r.unique_id for r, old in both if old.outcome in FAILED and r.has_succeeded),
        tuple(u for u in present if u not in before),
        tuple(u for u in before if u not in present) if is_whole else (),
    )


def _change(now: NodeRecord, before: NodeRecord) -> Change | None:
    if not (now.has_succeeded and before.has_succeeded) or now.resumed_from is not None:
        return None
    if now.execution_time is None or before.execution_time is None:
        return None
    change = Change(now.unique_id, before.execution_time, now.execution_time)
    is_large = abs(change.by) >= max(LEAST_SECONDS, LEAST_SHARE * before.execution_time)
    return change if is_large else None
