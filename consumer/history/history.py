"""The history of a project: it takes the results of one node after another."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from . import pace
from .flaky import may_be_flaky
from .volume import monday, weeks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...records.brief import BriefRun, Result
    from .pace import Pace, Slower
    from .volume import Week

_LEAST_SLOWNESS: Final = 1.25
_LEAST_NODES: Final = 10
"""Nodes whose times say whether a whole run was slow."""
_SHORTEST: Final = 0.05
"""Seconds. The time of a shorter node says more of the clock than of the run."""
_RECENT: Final = 10
"""Runs. A node that was in none of the latest ones is gone, or seldom runs: it is no news."""


@dataclass(frozen=True, slots=True)
class NodeHistory:
    """A node in all runs that were looked at.

    `times` is how often it ran, `failed` how often it failed, `last_failed` the run of the latest
    failure. `is_failing` says that it failed when it last ran, which was lately. `last` is its
    latest seconds, `pace` its usual ones; both are None if no time of it is known. `weeks` has what
    the adapter counted.
    """

    unique_id: str
    times: int
    failed: int
    last_failed: int | None
    is_failing: bool
    pace: Pace | None
    last: float | None
    weeks: tuple[Week, ...]


class History:
    """What the runs of a project tell, the oldest run first.

    A run is told by its place in `runs`. `add` takes each node once and keeps a few figures of it.
    `changing` are the nodes that fail and succeed in turn: see `flaky`. Once all nodes were added
    and there is `slowness`, `judge` takes the results of the nodes that are `slower` once more.
    """

    def __init__(self, runs: Sequence[BriefRun]) -> None:
        self.runs = runs
        self.nodes: list[NodeHistory] = []
        self.changing: set[str] = set()
        self._ratios: list[list[float]] = [[] for _ in runs]
        self._slower: dict[str, Slower] = {}
        self._mondays = [monday(run) for run in runs]

    def add(self, unique_id: str, results: Sequence[Result]) -> None:
        """Take the results of a node, the oldest first."""
        ran = [r for r in results if r.outcome != "skipped"]
        if not ran:
            return
        is_recent = ran[-1].run >= len(self.runs) - _RECENT
        seconds = [r.seconds or 0.0 for r in pace.timed(ran)]
        failed = [r.run for r in ran if r.outcome == "failure"]
        self.nodes.append(
            NodeHistory(
                unique_id,
                len(ran),
                len(failed),
                failed[-1] if failed else None,
                is_recent and ran[-1].outcome == "failure",
                pace.pace(seconds) if seconds else None,
                seconds[-1] if seconds else None,
                tuple(weeks(ran, self._mondays)),
            )
        )
        if seconds and (usual := pace.median(seconds)) >= _SHORTEST:
            for result in pace.timed(ran):
                self._ratios[result.run].append((result.seconds or 0.0) / usual)
        found = pace.slower(unique_id, ran) if is_recent else None
        if found is not None:
            self._slower[unique_id] = found
        if may_be_flaky(ran):
            self.changing.add(unique_id)

    @cached_property
    def slowness(self) -> dict[int, float]:
        """How many times as long as usual the nodes of a slow run took, in the median.

        A busy machine or warehouse slows down all nodes of a run.
        """
        medians = {
            run: pace.median(ratios)
            for run, ratios in enumerate(self._ratios)
            if len(ratios) >= _LEAST_NODES
        }
        return {run: times for run, times in medians.items() if times >= _LEAST_SLOWNESS}

    def judge(self, unique_id: str, results: Sequence[Result]) -> None:
        """Keep a node that is slower only if it was not slow just together with all others."""
        found = pace.slower(unique_id, results, self.slowness)
        if found is None:
            del self._slower[unique_id]
        else:
            self._slower[unique_id] = found

    @property
    def slower(self) -> list[Slower]:
        """The nodes that are slower than usual, the most seconds first."""
        return sorted(self._slower.values(), key=lambda s: -s.by)

    @property
    def failing(self) -> list[NodeHistory]:
        """The nodes that failed, those that fail now first, then the most failures."""
        bad = [node for node in self.nodes if node.failed]
        return sorted(bad, key=lambda n: (not n.is_failing, -n.failed, n.unique_id))
