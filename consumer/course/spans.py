"""When each node ran and in which thread: the lanes of a timeline."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ...records.instant import instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ...records.schema import NodeRecord
    from .edges import Graph

_NUMBERS: Final = re.compile(r"(\d+)")
_POOL: Final = re.compile(r"Thread-\d+")


@dataclass(frozen=True, slots=True)
class Span:
    """One node in a lane. `start` and `end` are seconds since 1970."""

    unique_id: str
    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Lane:
    """What one thread did, in order. `busy` is the seconds in which it had a node."""

    name: str
    spans: tuple[Span, ...]

    @property
    def busy(self) -> float:
        return sum(span.seconds for span in self.spans)

    @property
    def is_of_pool(self) -> bool:
        """Whether dbt gives nodes to the thread; its main thread only runs hooks."""
        return _POOL.match(self.name) is not None or not self.name


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a node began no earlier.

    It was ready once `parent` had ended, the last of its parents; `queued` is the seconds from then
    until a thread took it.
    """

    parent: str
    queued: float


def spans(records: Iterable[NodeRecord]) -> dict[str, Span]:
    """The span of each node that this run ran, by unique_id.

    A skipped node has none, nor has a node that another attempt or a later command ran.
    """
    found: dict[str, Span] = {}
    for record in records:
        if record.outcome == "skipped" or record.resumed_from is not None or record.renewed:
            continue
        start, end = instant(record.started_at), instant(record.finished_at)
        if start is None and end is not None and record.execution_time is not None:
            start = end - record.execution_time
        if start is not None and end is not None and end >= start:
            found[record.unique_id] = Span(record.unique_id, start, end)
    return found


def lanes(records: Iterable[NodeRecord], spans: Mapping[str, Span]) -> list[Lane]:
    """The threads of the run, in the order of their names.

    dbt v2 names no threads: then a lane is what one thread could have done. Two nodes of one thread
    that overlap get a lane each, as for a microbatch model that waits for its batches.
    """
    threads: dict[str, list[Span]] = {}
    for record in records:
        if record.unique_id in spans:
            thread = (record.thread or "").removesuffix(" (worker)")
            threads.setdefault(thread, []).append(spans[record.unique_id])
    found: list[Lane] = []
    for name in sorted(threads, key=lambda n: [p.zfill(9) for p in _NUMBERS.split(n)]):
        free: list[list[Span]] = []
        for span in sorted(threads[name], key=lambda s: (s.start, s.end)):
            lane = next((lane for lane in free if lane[-1].end <= span.start), None)
            if lane is None:
                free.append([span])
            else:
                lane.append(span)
        found += (Lane(name, tuple(lane)) for lane in free)
    return found


def believable(parents: Graph, spans: Mapping[str, Span]) -> dict[str, tuple[str, ...]]:
    """The graph without the edges that the times contradict.

    A node that began before its parent had ended did not wait for it: `dbt run` and `dbt test` may
    have been two commands, and a manifest may be of a later run.
    """
    found: dict[str, tuple[str, ...]] = {}
    for node, of_node in parents.items():
        start = spans[node].start if node in spans else None
        found[node] = tuple(
            p for p in of_node if start is None or p not in spans or spans[p].end <= start
        )
    return found


def waits(parents: Graph, spans: Mapping[str, Span]) -> dict[str, Wait]:
    """What each node waited for that has parents in the run."""
    found: dict[str, Wait] = {}
    for node, span in spans.items():
        ended = [spans[parent] for parent in parents.get(node, ()) if parent in spans]
        if ended:
            last = max(ended, key=lambda s: s.end)
            found[node] = Wait(last.unique_id, max(0.0, span.start - last.end))
    return found
