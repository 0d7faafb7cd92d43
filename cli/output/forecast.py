"""How long a run may still take, if earlier runs of the same command let tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from ...sinks.journal.usual import Usual

_KNOWN: Final = 0.9
"""The share of the nodes to come whose usual time has to be known."""
_ALIKE: Final = 0.05
"""By how much the nodes of the run may differ from the nodes of the earlier run."""
_PACE: Final = 5.0
_BEGUN: Final = 0.1
"""Seconds, and the share of the nodes, after which the pace of a run says something."""


class Forecast:
    """Compares a run with the latest whole run of the same command.

    Each call costs the same, however many nodes there are. `ended` are the nodes that have ended
    before.
    """

    def __init__(self, usual: Usual, ended: Collection[str]) -> None:
        self._usual = usual
        self._to_come = set(usual.expected)
        times = [self._expected(name) for name in usual.expected]
        known = [seconds for seconds in times if seconds is not None]
        self._mean = sum(known) / len(known) if known else 0.0
        """For a node whose usual time is not known."""
        self._unknown = len(usual.expected) - len(known)
        self._work = sum(known) + self._unknown * self._mean
        self._others = 0
        for name in ended:
            self.end(name)

    def usual(self, name: str) -> float | None:
        """The usual seconds of a node."""
        return self._usual.seconds.get(name)

    def end(self, name: str) -> None:
        """Take the end of a node."""
        if name not in self._to_come:
            self._others += name not in self._usual.expected
            return
        self._to_come.remove(name)
        seconds = self._expected(name)
        self._unknown -= seconds is None
        self._work -= self._mean if seconds is None else seconds

    def left(
        self, announced: int | None, worked: float, seconds: float, running: Mapping[str, float]
    ) -> float | None:
        """The seconds that the run may still take; None if it is not like the earlier one.

        The nodes that have ended took `worked` seconds together, in `seconds` of the run. `running`
        has for each node for how long it has run. The run goes on with as many nodes at a time as
        it had so far.
        """
        is_early = seconds < _PACE or len(self._to_come) > (1 - _BEGUN) * len(self._usual.expected)
        if is_early or not self._is_alike(announced, running):
            return None
        work, longest = self._work, 0.0
        for name, since in running.items():
            usual = self._expected(name)
            usual = self._mean if usual is None else usual
            work -= usual if name in self._to_come else 0.0
            work += max(0.0, usual - since)
            longest = max(longest, usual - since)
        at_a_time = (worked + sum(running.values())) / seconds
        if at_a_time <= 0.0 or work <= 0.0:
            return None
        return max(work / at_a_time, longest)

    def _expected(self, name: str) -> float | None:
        """The usual seconds of a node; if it never succeeded, those of the earlier run."""
        usual = self.usual(name)
        return self._usual.expected.get(name) if usual is None else usual

    def _is_alike(self, announced: int | None, running: Collection[str]) -> bool:
        expected = len(self._usual.expected)
        most = _ALIKE * expected
        others = self._others + sum(name not in self._usual.expected for name in running)
        differs = 0
        if announced is not None and self._usual.announced is not None:
            differs = abs(announced - self._usual.announced)
        return (
            expected > 0
            and max(others, differs) <= most
            and self._unknown <= (1 - _KNOWN) * len(self._to_come)
        )
