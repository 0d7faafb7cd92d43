"""What reading dbt's log costs: the whole parser against bare loops that only decode each line.

    python benchmarks/parse.py [ROUNDS]

The logs are real ones, on DuckDB: of dbt 1.11.16 at level debug, 2,000 views and 200 tests, 63,696
lines, 57 MB; of dbt v2 (2.0.0rc196) at level debug, 56 nodes, 6,869 lines, 6.8 MB, ten times over;
and the telemetry of such a run, 258 lines, 0.2 MB, a hundred times over. Each round runs every loop
once, in one process, over the same file; figures are CPU seconds. Ratios within a run hold on a
noisy machine, absolute figures do not.

The first lines are of `dbt-relay replay` as a whole process, with its start, the journal and the
ledger: without a sink, and with one for JSON lines.
"""

from __future__ import annotations

import gzip
import json
import os
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

HERE = Path(__file__).parent
OF_V2 = HERE.parent / "tests" / "corpus" / "2.0.0rc196"
LOGS = {
    "dbt 1.11": (HERE / "big2000_debug.jsonl.gz", 1),
    "dbt v2": (OF_V2 / "full_debug.jsonl.gz", 10),
    "dbt v2, telemetry": (OF_V2 / "full_otel.jsonl.gz", 100),
}
"""Each log, and how many times over it is read."""


def decode_json(log: Path) -> None:
    with log.open("rb") as lines:
        for line in lines:
            json.loads(line)


def decode_orjson(log: Path) -> None:
    with log.open("rb") as lines:
        for line in lines:
            orjson.loads(line)


def relay(log: Path) -> None:
    reader, run = EventReader(), Run()
    with log.open("rb", buffering=0) as file:
        while chunk := file.read(65536):
            for item in reader.feed(chunk):
                if isinstance(item, Event):
                    run.feed(item)
    run.finish()
    assert run.last is not None
    assert all(node.published for node in run.last.nodes.values())


def cpu(loop: Callable[[Path], None], log: Path) -> float:
    start = time.process_time()
    loop(log)
    return time.process_time() - start


def replay(log: Path, *options: str) -> tuple[float, float]:
    """CPU seconds and MB at the peak of a whole `dbt-relay replay`, with a journal of its own."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "DBT_RELAY"))}
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "dbt_relay", "replay", *options, str(log)],
            stdout=subprocess.DEVNULL,
            cwd=folder,
            env={**clean, "DBT_RELAY_STATE_DIR": folder},
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, process.returncode
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def compare_whole(log: Path, rounds: int) -> None:
    """The whole process against the bare loop. A child's peak is never below its parent's."""
    kinds = {"no sink": (), "JSON lines": ("--sink", "jsonl:records.jsonl")}
    taken: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    bare: list[float] = []
    for _ in range(rounds):
        for kind, options in kinds.items():
            taken[kind].append(replay(log, *options))
        bare.append(cpu(decode_orjson, log))
    print("dbt-relay replay, dbt 1.11, the whole process:")
    for kind, figures in taken.items():
        ratio = statistics.median(t / b for (t, _), b in zip(figures, bare, strict=True))
        seconds, memory = (statistics.median(column) for column in zip(*figures, strict=True))
        print(f"  {kind:<13} {seconds:6.3f} s CPU   {ratio:5.2f} x the loop, {memory:.0f} MB")


def compare(log: Path, rounds: int) -> None:
    loops = {"json.loads": decode_json, "orjson.loads": decode_orjson, "dbt-relay": relay}
    times: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(rounds):
        for name, loop in loops.items():
            times[name].append(cpu(loop, log))
    bare = times["orjson.loads"]
    for name, taken in times.items():
        ratio = statistics.median(t / b for t, b in zip(taken, bare, strict=True))
        median = statistics.median(taken)
        print(f"  {name:<13} {median:6.3f} s CPU   {ratio:5.2f} x the bare orjson.loads loop")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as folder:
        logs = {name: Path(folder) / f"{at}.jsonl" for at, name in enumerate(LOGS)}
        for name, (packed, times) in LOGS.items():
            with logs[name].open("wb") as file:
                for _ in range(times):
                    with gzip.open(packed) as log:
                        shutil.copyfileobj(log, file)
        # First, while this process is small.
        compare_whole(logs["dbt 1.11"], rounds)
        for name, log in logs.items():
            print(f"{name}, {log.stat().st_size / 1e6:.0f} MB:")
            compare(log, rounds)


if __name__ == "__main__":
    main()
