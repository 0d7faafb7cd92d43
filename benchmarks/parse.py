"""What reading dbt's log costs: the whole parser against bare loops that only decode each line.

    python benchmarks/parse.py [ROUNDS]

The log is a real one (dbt 1.11.16, DuckDB, `--log-level debug`): 2,000 views and 200 tests, 63,696
lines, 57 MB. Each round runs every loop once, in one process, over the same file; figures are CPU
seconds. Ratios within a run hold on a noisy machine, absolute figures do not.
"""

from __future__ import annotations

import gzip
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from dbt_relay.parser import Event, EventReader, Run

if TYPE_CHECKING:
    from collections.abc import Callable

PACKED = Path(__file__).parent / "big2000_debug.jsonl.gz"
NODES = 2_200


def decode_json(log: Path) -> None:
    with log.open("rb") as lines:
        for line in lines:
            json.loads(line)


def decode_orjson(log: Path) -> None:
    with log.open("rb") as lines:
        for line in lines:
            orjson.loads(line)


def relay(log: Path) -> None:
    reader, run, records = EventReader(), Run(), 0
    with log.open("rb", buffering=0) as file:
        while chunk := file.read(65536):
            for item in reader.feed(chunk):
                if isinstance(item, Event):
                    records += len(run.feed(item) or ())
    records += len(run.finish())
    assert records == NODES, records


def cpu(loop: Callable[[Path], None], log: Path) -> float:
    start = time.process_time()
    loop(log)
    return time.process_time() - start


def peak_memory(log: Path) -> float:
    """MB of a whole `dbt-relay replay` of the log, without a sink."""
    command = [sys.executable, "-m", "dbt_relay", "replay", str(log)]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "DBT_RELAY"))}
    env = {**clean, "DBT_RELAY_STATE_DIR": str(log.parent / "state")}
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=log.parent, env=env)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "dbt.jsonl"
        with gzip.open(PACKED) as packed, log.open("wb") as file:
            shutil.copyfileobj(packed, file)
        # First, while this process is small: a child's peak is never below its parent's.
        memory = peak_memory(log)
        loops = {"json.loads": decode_json, "orjson.loads": decode_orjson, "dbt-relay": relay}
        times: dict[str, list[float]] = {name: [] for name in loops}
        for _ in range(rounds):
            for name, loop in loops.items():
                times[name].append(cpu(loop, log))
        bare = times["orjson.loads"]
        for name, taken in times.items():
            ratio = statistics.median(t / b for t, b in zip(taken, bare, strict=True))
            median = statistics.median(taken)
            print(f"{name:<13} {median:6.3f} s CPU   {ratio:5.2f} x the bare orjson.loads loop")
        print(f"peak memory of dbt-relay replay: {memory:.0f} MB")


if __name__ == "__main__":
    main()
