"""The truth about an attempt, and what records say otherwise."""

from __future__ import annotations

import signal
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chaos.story import latest
from dbt_relay.records.exits import Exit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chaos.processes import Relay
    from chaos.story import Story
    from dbt_relay.records import NodeRecord

RUN = "dbt_relay_run"
Records = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Ending:
    """How an attempt ended: dbt had written `least` to `most` lines, of which the relay took at
    least `taken`."""

    story: Story
    taken: int
    least: int
    most: int
    has_ended: bool
    dbt_was_killed: bool
    relay_was_killed: bool

    @classmethod
    def of(cls, relay: Relay) -> Ending:
        least, most = relay.written
        return cls(
            relay.story,
            relay.taken,
            least,
            most,
            relay.has_ended,
            relay.dbt_was_killed,
            relay.was_killed,
        )

    def truths(self) -> Iterator[tuple[list[NodeRecord], Exit]]:
        """What a relay that lived has published, and how dbt ended: one of these.

        There is more than one where dbt was killed while it wrote a line or while it exited.
        """
        exits = [Exit(code=self.story.exit_code)] if self.has_ended else []
        if self.dbt_was_killed or not self.has_ended:
            exits.append(Exit(signal=signal.SIGKILL))
        for count in sorted({self.least, self.most}):
            for ended in exits:
                yield self.story.fold(count, ended), ended


def differences(ending: Ending, found: Records) -> list[str]:
    """What is wrong with these records of an attempt, by key."""
    others = {k: r for k, r in found.items() if r.get("attempt") != ending.story.attempt}
    if others:
        return [f"{key} is of attempt {r.get('attempt')}" for key, r in others.items()]
    run = found.get(RUN)
    # Only a relay that came to its own end knows how dbt ended.
    told_the_end = run is not None and "exit_code" in run
    if told_the_end or not ending.relay_was_killed:
        tries = [_exact(records, ended, ending, found) for records, ended in ending.truths()]
        return min(tries, key=len)
    return list(_within_bounds(ending, found))


def disagreements(journal: Records, server: Records) -> list[str]:
    """Where the journal's account is not what the server has."""
    return [f"journal and server: {text}" for text in _unequal(journal, server)]


def _exact(records: list[NodeRecord], ended: Exit, ending: Ending, found: Records) -> list[str]:
    """What is not as it is when the relay did all it had to."""
    expected = latest(records)
    wrong = _unequal(expected, {key: record for key, record in found.items() if key != RUN})
    run = found.get(RUN)
    if run is None:
        return [*wrong, "there is no run record"]
    outcomes = Counter(record["outcome"] for record in expected.values())
    bad = {k for k, r in expected.items() if r["outcome"] in ("failure", "interrupted")}
    facts = {
        "state": "died" if ended.signal is not None else "finished",
        "exit_code": ended.status,
        "signal": ended.signal_name,
        "nodes": dict(outcomes),
        "failed": sorted(bad),
        "attempt": ending.story.attempt,
    }
    says = {name: run.get(name) for name in facts}
    says["failed"] = sorted(says["failed"] or [])
    wrong += [
        f"the run record says {name} {says[name]!r}, the truth is {fact!r}"
        for name, fact in facts.items()
        if says[name] != fact
    ]
    return wrong


def _within_bounds(ending: Ending, found: Records) -> Iterator[str]:
    """What is wrong although the relay was killed: it may have taken more than is known."""
    versions: dict[str, list[dict[str, Any]]] = {}
    for records, _ in ending.truths():
        for record in records:
            versions.setdefault(record.key, []).append(record.to_json())
    taken = latest(ending.story.fold(ending.taken))
    for key in sorted((taken.keys() | found.keys()) - {RUN}):
        if key not in found:
            yield f"{key} is lost"
        elif found[key] not in versions.get(key, []):
            yield f"{key} is nothing that dbt said: {found[key]}"
        elif key in taken and found[key]["sequence"] < taken[key]["sequence"]:
            yield f"{key} has lost its amendment"
    run = found.get(RUN)
    if run is None:
        if found or ending.taken:
            yield "there is no run record"
    elif run["state"] != "died":
        yield f"the run record says {run['state']!r} of a run whose relay was killed"


def _unequal(expected: Records, found: Records) -> list[str]:
    wrong = [f"{key} is lost" for key in expected.keys() - found.keys()]
    wrong += [f"{key} is too much: {found[key]}" for key in found.keys() - expected.keys()]
    for key in expected.keys() & found.keys():
        names = sorted(expected[key].keys() | found[key].keys())
        pairs = {n: (expected[key].get(n), found[key].get(n)) for n in names}
        unequal = {n: pair for n, pair in pairs.items() if pair[0] != pair[1]}
        if unequal:
            wrong.append(f"{key} (what is true, what is there): {unequal}")
    return sorted(wrong)
