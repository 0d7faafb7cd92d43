"""An Airflow in a process of its own that can be killed: what it has committed is on disk.

    python -m chaos.server FOLDER PORT SEED

Answers each write, and each read, with a random fault now and then until it is told `calm` on its
standard input; `retry` begins the next try of the task, `refuse` closes every connection without
an answer until `accept`. It answers each such line with `done`.
"""

from __future__ import annotations

import json
import random
import sys
from collections import deque
from pathlib import Path
from typing import Any

import airflow_faults as fake
from fake_airflow import FakeAirflow

WRITES = (
    fake.RESET, fake.RESET_AFTER_COMMIT, fake.TRUNCATED, fake.DRIP, fake.STALL,
    fake.STALL_AFTER_COMMIT, fake.EXPIRED, fake.INVALID_TOKEN, fake.FORBIDDEN, fake.DATABASE_LOCK,
    fake.CRASHED, fake.BAD_GATEWAY, fake.LOGIN_PAGE, fake.REDIRECT,
    fake.answering(429, {}, Retry_After="0"), fake.answering(429, {}, Retry_After="1"),
    fake.TOO_MANY_UNTIL,
)  # fmt: skip
READS = (fake.RESET, fake.EXPIRED, fake.DATABASE_LOCK, fake.BAD_GATEWAY, fake.TRUNCATED_READ)


class Faults(deque[Any]):
    """An endless schedule; without faults once it is calm."""

    def __init__(self, seed: str, faults: tuple[Any, ...], rate: float) -> None:
        super().__init__([None])
        self.chance = random.Random(seed)
        self.kinds = faults
        self.rate = rate
        self.is_refusing = False

    def popleft(self) -> Any:
        if self.is_refusing:
            return fake.RESET
        return self.chance.choice(self.kinds) if self.chance.random() < self.rate else None


class Durable(FakeAirflow):
    """Writes each change down before it is answered, and begins with what is written."""

    def __init__(self, path: Path, port: int, seed: str) -> None:
        super().__init__(port=port)
        self.faults = Faults(f"writes {seed}", WRITES, 0.2)
        self.read_faults = Faults(f"reads {seed}", READS, 0.1)
        for change in changes(path):
            if change["do"] == "retry":
                super().retry()
            else:
                self.tasks[change["task"]][-1][change["key"]] = change["value"]
        self._log = path.open("ab", buffering=0)

    def committed(self, task: str, map_index: int, key: str, value: Any) -> None:
        change = {"do": "write", "task": task, "key": key, "value": value}
        self._log.write(json.dumps(change).encode() + b"\n")

    def retry(self) -> None:
        with self.lock:
            self._log.write(b'{"do": "retry"}\n')
        super().retry()


def changes(path: Path) -> list[dict[str, Any]]:
    """What was committed, in order."""
    return [json.loads(text) for text in path.read_bytes().splitlines()] if path.exists() else []


def main() -> None:
    folder, port, seed = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    with Durable(folder / "committed", port, seed) as server:
        print("ready", flush=True)
        for command in sys.stdin:
            match command.strip():
                case "calm":
                    for faults in (server.faults, server.read_faults):
                        assert isinstance(faults, Faults)
                        faults.rate, faults.is_refusing = 0.0, False
                case "refuse" | "accept":
                    for faults in (server.faults, server.read_faults):
                        assert isinstance(faults, Faults)
                        faults.is_refusing = command.strip() == "refuse"
                case "retry":
                    server.retry()
                case _:
                    return
            print("done", flush=True)


if __name__ == "__main__":
    main()
