"""The fake Airflow as a process that can be killed: `server.py LEDGER PORT SEED DENSITY`.

What it committed is in its ledger before it is answered, and is there when it starts again. On
standard input it takes the orders of the test, a word each, and answers each with `done`.
"""

from __future__ import annotations

import random
import sys
from collections import deque
from dataclasses import replace
from pathlib import Path

if __name__ == "__main__":  # as a script it sees its own folder, as part of the tests `tests`
    sys.path[0] = str(Path(__file__).parents[1])

from support import airflow_faults as fake
from support.fake_airflow import FakeAirflow, Request

from chaos.ledger import Ledger, Reader

STALL_S = 0.3
SCHEDULE = 300
"""Requests after which the server has had its faults."""

PASSING = (
    fake.CLOSED,
    fake.RESET,
    fake.RESET_AFTER_COMMIT,
    fake.STALL,
    fake.STALL_AFTER_COMMIT,
    fake.DRIP,
    fake.TRUNCATED,
    fake.EXPIRED,
    fake.INVALID_TOKEN,
    fake.DATABASE_LOCK,
    fake.CRASHED,
    fake.BAD_GATEWAY,
    fake.UNAVAILABLE,
    fake.answering(429, fake.detail("slow down"), Retry_After="0"),
    fake.answering(429, fake.detail("slow down"), Retry_After="1"),
    fake.answering(429, fake.detail("slow down"), Retry_After="Thu, 01 Jan 1970 00:00:00 GMT"),
)
HOLDING = (fake.LOGIN_PAGE, fake.REDIRECT, fake.FORBIDDEN)
"""What the relay waits for a person to mend: rare, as it then waits until the end of dbt. 413 and
422 are not among the faults: they bury a record, and tests/sinks/faults has them."""

_TURNED_AWAY = replace(fake.CLOSED)


def schedule(chance: random.Random, density: float) -> list[fake.Fault | None]:
    """What befalls each request in turn; `density` is the share that goes wrong."""

    def fault() -> fake.Fault | None:
        if chance.random() >= density:
            return None
        return chance.choice(HOLDING if chance.random() < 0.03 else PASSING)

    return [fault() for _ in range(SCHEDULE)]


class LastingAirflow(FakeAirflow):
    """Takes up where the ledger ends."""

    def __init__(self, path: Path, port: int, seed: str, density: float) -> None:
        state = Reader(path).state()
        chance = random.Random(f"{seed} {state.requests}")
        super().__init__(port=port, patience=STALL_S)
        if not state.is_calm:
            self.faults.extend(schedule(chance, density))
            self.read_faults.extend(schedule(chance, density))
            self.other_faults.extend(schedule(chance, density))
        if state.is_closed:
            self._close()
        self.xcoms[-1].update(state.xcoms)
        self.try_number = state.try_number
        if state.valid is not None:
            self.valid, self.expired = state.valid, state.expired
        self._ledger = Ledger(path)

    def log(self, request: Request) -> None:
        super().log(request)
        if request.path == "/auth/token" and request.status == 201:
            self._note_tokens()
        about = {"method": request.method, "status": request.status}
        if request.key is not None:
            about["key"] = request.key
            if request.has_written:
                about["value"] = self.xcoms[-1][request.key]
        self._ledger.note("request", **about)

    def obey(self, order: str) -> None:
        """`next try` and `clear` are the two steps of a retry: Airflow counts a try when it
        schedules it, and clears its XComs when it starts it. `close` turns every request away
        until `open`; `calm` ends all faults; `expire` is for the tokens."""
        with self.lock:
            match order:
                case "next try":
                    self.try_number += 1
                case "clear":
                    self.xcoms[-1].clear()
                case "close":
                    self._close()
                case "open":
                    for faults in self._all_faults():
                        while faults and faults[0] is _TURNED_AWAY:
                            faults.popleft()
                case "calm":
                    for faults in self._all_faults():
                        faults.clear()
                case "expire":
                    self.expired |= self.valid.keys()
                    self.valid.clear()
                    return self._note_tokens()
            return self._ledger.note(order)

    def _all_faults(self) -> tuple[deque[fake.Fault | None], ...]:
        return self.faults, self.read_faults, self.other_faults

    def _close(self) -> None:
        for faults in self._all_faults():
            faults.extendleft([_TURNED_AWAY] * 10_000)

    def _note_tokens(self) -> None:
        self._ledger.note("tokens", valid=self.valid, expired=sorted(self.expired))


def main(ledger: str, port: str, seed: str, density: str) -> None:
    with LastingAirflow(Path(ledger), int(port), seed, float(density)) as airflow:
        print("ready", flush=True)
        for order in sys.stdin:
            airflow.obey(order.strip())
            print("done", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
