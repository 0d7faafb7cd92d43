"""Whether a node has become slower than it usually was, and since when."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...records.brief import Result

LEAST_EARLIER: Final = 5
"""Results of a node that make up what is usual."""
LEAST_SECONDS: Final = 0.5
LEAST_SHARE: Final = 0.25
SPREADS: Final = 4.0
"""A node is slower from half a second, a quarter of its usual time and four spreads on."""
_OF_NORMAL: Final = 1.4826
"""Makes the median deviation of normally distributed times their standard deviation."""
_OF_FEW: Final = 2.0
"""The median deviation of five times is too small as often as not: few times count as wider."""
_LOOK_AT: Final = 60
"""The latest results of a node. What was a year ago is not its usual time."""
_MORE_ROWS: Final = 1.5
NO_SLOWNESS: Final[Mapping[int, float]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Pace:
    """The usual seconds of a node: their median, and how far they usually are from it.

    `spread` is the median distance from the median, which one outlier does not move, as a standard
    deviation.
    """

    usual: float
    spread: float

    @property
    def limit(self) -> float:
        """The seconds from which on a node is slower than usual."""
        return self.usual + max(LEAST_SECONDS, LEAST_SHARE * self.usual, SPREADS * self.spread)


@dataclass(frozen=True, slots=True)
class Slower:
    """A node that is slower than usual since the run `since`; `times` is how often it ran since.

    `last` is its seconds in its latest run. `code_changed` says whether its code changed in that
    run; None if that is not known. `rows_factor` is how many times the rows it has since then, if
    that is many more.
    """

    unique_id: str
    pace: Pace
    last: float
    since: int
    times: int
    code_changed: bool | None
    rows_factor: float | None

    @property
    def factor(self) -> float:
        return self.last / max(self.pace.usual, 0.001)

    @property
    def by(self) -> float:
        return self.last - self.pace.usual


def timed(results: Sequence[Result]) -> list[Result]:
    """The results whose time says how long the node takes: a failed one says how soon it failed."""
    return [r for r in results if r.seconds is not None and r.outcome in ("success", "warning")]


def median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return (ordered[half] + ordered[~half]) / 2


def pace(seconds: Sequence[float]) -> Pace:
    """The pace of a node with these times; there is one at least."""
    usual = median(seconds)
    spread = _OF_NORMAL * median([abs(s - usual) for s in seconds])
    return Pace(usual, spread * (1 + _OF_FEW / len(seconds)))


def slower(
    unique_id: str, results: Sequence[Result], slowness: Mapping[int, float] = NO_SLOWNESS
) -> Slower | None:
    """What has become slower of a node; None if nothing, or if it ran too seldom to say.

    `slowness` says of some runs how many times as long as usual all nodes took: a node is not
    slower if it only was slow together with all others.
    """
    found = timed(results)[-_LOOK_AT:]
    seconds = [(r.seconds or 0.0) / slowness.get(r.run, 1.0) for r in found]
    if len(seconds) <= LEAST_EARLIER or seconds[-1] - min(seconds) < LEAST_SECONDS:
        return None
    at = _change(seconds)
    before = pace(seconds[:at])
    if min(seconds[-1], median(seconds[at:])) <= before.limit:
        return None
    return Slower(
        unique_id,
        before,
        found[-1].seconds or 0.0,
        found[at].run,
        len(found) - at,
        _code_changed(found[at - 1], found[at]),
        _rows_factor(found[:at], found[at:]),
    )


def _change(seconds: Sequence[float]) -> int:
    """Where the times are best cut in two: the sum of distances from both medians is the least."""
    before = _costs(seconds)
    after = _costs(seconds[::-1])
    # Of equally good places it is the latest: an old change that was reverted is no news.
    return min(
        range(len(seconds) - 1, LEAST_EARLIER - 1, -1),
        key=lambda at: before[at] + after[len(seconds) - at],
    )


def _costs(seconds: Sequence[float]) -> list[float]:
    """For the first 0, 1, 2, … times the sum of their distances from their median."""
    ordered: list[float] = []
    costs = [0.0]
    for time in seconds:
        insort(ordered, time)
        half = len(ordered) // 2
        costs.append(sum(ordered[-half:]) - sum(ordered[:half]) if half else 0.0)
    return costs


def _code_changed(before: Result, now: Result) -> bool | None:
    if before.code is None or now.code is None:
        return None
    return before.code != now.code


def _rows_factor(before: Sequence[Result], now: Sequence[Result]) -> float | None:
    old = [r.rows for r in before if r.rows is not None]
    new = [r.rows for r in now if r.rows is not None]
    if not old or not new or median(old) <= 0:
        return None
    factor = median(new) / median(old)
    return factor if factor >= _MORE_ROWS else None
