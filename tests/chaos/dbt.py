"""A dbt that runs no queries: the JSON log of a run, as a seed has it, in about a second.

    python dbt.py SEED ATTEMPT FOLDER

What it is about to write it appends to `FOLDER/log-ATTEMPT` first, so that a test knows what this
dbt had said when it was killed. Its pid is in `FOLDER/pid-ATTEMPT`.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

NODES = 24
SECONDS = 1.2


def line(name: str, data: dict[str, Any], attempt: int, **info: Any) -> bytes:
    envelope = {
        "category": "",
        "code": "",
        "extra": {},
        "invocation_id": f"invocation-{attempt}",
        "level": "debug",
        "msg": "",
        "name": name,
        "pid": os.getpid(),
        "thread": "Thread-1 (worker)",
        "ts": f"2026-01-0{attempt}T03:04:05.000006Z",
    }
    return json.dumps({"data": data, "info": {**envelope, **info}}, sort_keys=True).encode() + b"\n"


def node(number: int, attempt: int, finished: bool) -> dict[str, Any]:
    return {
        "unique_id": f"model.shop.n{number}",
        "node_name": f"n{number}",
        "node_path": f"n{number}.sql",
        "resource_type": "model",
        "materialized": "table",
        "node_status": "success" if finished else "started",
        "node_started_at": f"2026-01-0{attempt}T03:04:05.000001",
        "node_finished_at": f"2026-01-0{attempt}T03:04:06" if finished else "",
    }


def log(seed: int, attempt: int) -> list[bytes]:
    """The whole log of an attempt. After each event that ends a node comes a line `tick`, which a
    relay prints once it has taken that event."""
    chance = random.Random(f"{seed} {attempt}")
    version = {"version": "=1.11.16", "log_version": 3}
    lines = [line("MainReportVersion", version, attempt, level="info", msg="Running")]
    failed: list[int] = []

    def tick() -> None:
        number = len(lines)
        lines.append(line("Tick", {}, attempt, level="info", msg=f"tick {number}"))

    for number in range(NODES):
        status = "error" if chance.random() < 0.25 else "success"
        if status == "error":
            failed.append(number)
        lines.append(line("NodeStart", {"node_info": node(number, attempt, False)}, attempt))
        result = {
            "status": status,
            "message": f"{status} of attempt {attempt}" if chance.random() < 0.8 else "",
            "execution_time": chance.random(),
            "num_failures": 0,
            "thread": "Thread-1 (worker)",
            "adapter_response": {},
            "timing_info": [],
        }
        data = {"node_info": node(number, attempt, True), "run_result": result}
        lines.append(line("NodeFinished", data, attempt))
        tick()
    for number in failed:
        data = {"msg": f"the error of attempt {attempt}", "node_info": node(number, attempt, True)}
        lines.append(line("RunResultError", data, attempt, level="error", msg=data["msg"]))
        tick()
    return lines


def main() -> int:
    seed, attempt, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    (folder / f"pid-{attempt}").write_text(str(os.getpid()))
    chance = random.Random(f"pauses {seed} {attempt}")
    lines = log(seed, attempt)
    with (folder / f"log-{attempt}").open("ab", buffering=0) as said:
        for text in lines:
            time.sleep(chance.uniform(0, 2 * SECONDS / len(lines)))
            said.write(text)
            sys.stdout.buffer.write(text)
            sys.stdout.buffer.flush()
    return 1


if __name__ == "__main__":
    sys.exit(main())
