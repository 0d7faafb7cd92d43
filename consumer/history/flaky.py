"""Nodes that fail and succeed in turn although their code stays the same."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...records.brief import Result

    Codes = Mapping[str, Sequence[tuple[int, int]]]
    """For each node the runs that know its code, each with the code, the oldest first."""

LEAST_CHANGES: Final = 2
"""A node that fails and is well again. After one change the data may be bad, or mended."""


@dataclass(frozen=True, slots=True)
class Flaky:
    """A node that has failed and succeeded on the same code.

    `changes` is how often the result was another than before. `last_failed` is a run.
    `is_code_known` is false if nobody knows whether the code changed meanwhile.
    """

    unique_id: str
    failed: int
    succeeded: int
    changes: int
    last_failed: int
    is_code_known: bool


def may_be_flaky(results: Sequence[Result]) -> bool:
    """Whether the results change often enough, whatever the code was."""
    return _changes(_decided(results)) >= LEAST_CHANGES


def flaky(
    unique_id: str,
    results: Sequence[Result],
    tested: Sequence[str] = (),
    codes: Codes | None = None,
) -> Flaky | None:
    """What is flaky of a node; None if nothing.

    A test fails for its own code or for that of the nodes that it tests: `tested`, with `codes`.
    """
    decided = _decided(results)
    versions = [_version(result, tested, codes or {}) for result in decided]
    pairs = zip(versions, decided, strict=True)
    stretches = [
        (version, [result for _, result in of_version])
        for version, of_version in itertools.groupby(pairs, lambda pair: pair[0])
    ]
    found = [(v, s) for v, s in stretches if _changes(s) >= LEAST_CHANGES]
    if not found:
        return None
    of_flaky = [result for _, stretch in found for result in stretch]
    failed = [result for result in of_flaky if result.outcome == "failure"]
    return Flaky(
        unique_id,
        len(failed),
        len(of_flaky) - len(failed),
        sum(_changes(stretch) for _, stretch in found),
        failed[-1].run,
        all(None not in version for version, _ in found),
    )


def _decided(results: Sequence[Result]) -> list[Result]:
    return [r for r in results if r.outcome in ("success", "warning", "failure")]


def _changes(results: Sequence[Result]) -> int:
    pairs = itertools.pairwise(result.outcome == "failure" for result in results)
    return sum(before != now for before, now in pairs)


def _version(result: Result, tested: Sequence[str], codes: Codes) -> tuple[int | None, ...]:
    """The code that decides a result: of a test the tested nodes', as they last ran before it.

    It has a None if it is not known. A generic test has no code of its own.
    """
    if result.code is None and not tested:
        return (None,)
    own = () if result.code is None else (result.code,)
    return (*own, *(_code_at(codes.get(node, ()), result.run) for node in tested))


def _code_at(known: Sequence[tuple[int, int]], run: int) -> int | None:
    place = bisect_right(known, (run, 1 << 62))
    return known[place - 1][1] if place else None
