"""What a seed decides: who is killed when, and what the server answers."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

Target = Literal["relay", "server", "dbt"]
Moment = Literal["start", "run", "send", "flush"]

START_S = 0.6
"""Seconds in which the command comes up and starts dbt."""
FLUSH_S = 0.5
REQUESTS = 40


@dataclass(frozen=True)
class Kill:
    """SIGKILL to `targets`. `at`, from 0 to 1, is when within the moment: `start` is a time after
    the start, `run` a line that the relay has printed, `send` a request that the server has seen,
    `flush` a time after dbt's end."""

    targets: tuple[Target, ...]
    moment: Moment
    at: float
    down_s: float
    """How long a killed server stays away."""

    def __str__(self) -> str:
        return f"{' and '.join(self.targets)} in {self.moment} at {self.at:.2f}"


@dataclass(frozen=True)
class Attempt:
    """One run of the task. `closes_at` is when in the run the server begins to turn everything
    away, so that the relay has records left."""

    kills: tuple[Kill, ...]
    flush_timeout: float
    closes_at: float | None = None


@dataclass(frozen=True)
class Plan:
    """A trial. Where the second attempt runs `beside` the first, that one is still delivering.

    `density` is the share of requests that a fault befalls; with more of them the relay would do
    little but wait between its tries. `expires` has the tokens expire in the last attempt.
    `delivers_at` is when in the last attempt a `deliver` is started beside the live relay, and
    `deliver_dies_at` the request at which the first one at the end is killed.
    """

    seed: int
    density: float
    attempts: tuple[Attempt, ...]
    is_beside: bool
    expires: bool
    delivers_at: float | None
    deliver_dies_at: int | None

    def told(self) -> Iterator[str]:
        yield f"{self.density:.0%} of the answers are faults"
        for number, attempt in enumerate(self.attempts, start=1):
            for kill in attempt.kills:
                yield f"planned: {kill} of attempt {number}"

    @classmethod
    def of(cls, seed: int) -> Plan:
        chance = random.Random(f"plan {seed}")
        density = chance.choice((0.0, 0.04, 0.12))
        has_second = chance.random() < 0.5
        is_beside = has_second and chance.random() < 0.5
        first = Attempt(
            _kills(chance, () if is_beside else ("relay",)),
            6.0 if is_beside else chance.choice((0.5, 1.5, 3.0)),
            chance.uniform(0.1, 0.9) if has_second and chance.random() < 0.8 else None,
        )
        # An attempt that is done in peace shows best whether an older record comes on top of it.
        kills = _kills(chance, ("relay",)) if chance.random() < 0.6 else ()
        second = Attempt(kills, chance.choice((1.5, 3.0)))
        return cls(
            seed,
            density,
            (first, second) if has_second else (first,),
            is_beside,
            expires=chance.random() < 0.3,
            delivers_at=chance.random() if chance.random() < 0.3 else None,
            deliver_dies_at=chance.randrange(30) if chance.random() < 0.4 else None,
        )


def _kills(chance: random.Random, mortal: tuple[Target, ...]) -> tuple[Kill, ...]:
    """One kill or two, in most of the cases of the `mortal`."""
    kills: list[Kill] = []
    moments: list[Moment] = ["start", "run", "send", "flush"]
    for moment in chance.sample(moments, chance.choice((1, 1, 2))):
        others: tuple[Target, ...] = ("server",) if moment == "flush" else ("server", "dbt")
        groups = [*[(t,) for t in others], *[(t,) for t in mortal] * 2]
        groups += [(t, o) for t in mortal for o in others]
        if len(others) > 1:
            groups.append(others)
        targets = chance.choice(groups)
        kills.append(Kill(targets, moment, chance.random(), chance.uniform(0.05, 0.8)))
    return tuple(kills)
