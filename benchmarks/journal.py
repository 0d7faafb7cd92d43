"""What the journal costs: every record is committed to a file before it is sent.

    python benchmarks/journal.py [ROUNDS]

The records come from the log that benchmarks/parse.py reads (dbt 1.11.16, DuckDB): 2,000 views and
200 tests. Each gets a message of half a KB, so that a record has 1.5 KB, like a record with an
error text. Each round puts all records into a new journal, and then leases and acknowledges each of
them for one sink: one record at a time, as from a slow dbt and to a slow server, and in the batches
in which `run` and the outbox do it if they come quickly, which are the records in 64 KiB of the log
and 50 deliveries. It does so on the disk of TMPDIR and in memory. The figures are microseconds of
CPU time per record.

The last lines compare this with the CPU time of parsing the log, and with the duration of the run:
the seconds from its first event to its last, with 8 threads on the machine that made the log.
"""

from __future__ import annotations

import gzip
import json
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from parse import LOGS, cpu, relay

from dbt_relay.parser import Event, EventReader, Run
from dbt_relay.sinks import Journal, RunInfo

if TYPE_CHECKING:
    from dbt_relay.records.schema import NodeRecord

INFO = RunInfo(command=("dbt", "build"), started_at="2026-01-02T03:04:05Z", sinks={"airflow": {}})
MESSAGE = "Database Error in model: column does not exist. " * 13
PACKED, _ = LOGS["dbt 1.11"]
NODES = 2_200
BATCH = 50


def chunks(log: Path) -> list[list[NodeRecord]]:
    """The records of each 64 KiB of the log."""
    reader, run = EventReader(), Run()
    found: list[list[NodeRecord]] = []
    with log.open("rb") as file:
        while chunk := file.read(65536):
            of_chunk: list[NodeRecord] = []
            for item in reader.feed(chunk):
                if isinstance(item, Event):
                    of_chunk += run.feed(item) or ()
            found.append([replace(record, message=MESSAGE) for record in of_chunk])
    assert not run.finish()
    assert sum(map(len, found)) == NODES
    return [of_chunk for of_chunk in found if of_chunk]


def span(log: Path) -> float:
    """Seconds from the first event to the last."""
    lines = log.read_bytes().splitlines()
    first, last = (json.loads(line)["info"]["ts"].rstrip("Z") for line in (lines[0], lines[-1]))
    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()


def one_round(
    batches: list[list[NodeRecord]], settled_at_once: int, folder: Path | None
) -> tuple[float, float, float]:
    """CPU seconds for putting and for settling all records, and wall seconds of the longest put."""
    cpu_time, longest = time.process_time, 0.0
    with Journal(folder) as journal:
        run = journal.begin(INFO)
        queue = run.queue("airflow")
        start = cpu_time()
        for batch in batches:
            before = time.perf_counter()
            run.put_all(batch, 0.0)
            longest = max(longest, time.perf_counter() - before)
        put = cpu_time()
        while leased := [one for _ in range(settled_at_once) if (one := queue.lease(0.0))]:
            queue.acknowledge(*leased)
        settled = cpu_time()
        assert journal.trouble is None
        assert len(queue.account().delivered) == NODES
    return put - start, settled - put, longest


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "dbt.jsonl"
        with gzip.open(PACKED) as packed, log.open("wb") as file:
            shutil.copyfileobj(packed, file)
        batches = chunks(log)
        singles = [[record] for batch in batches for record in batch]
        size = statistics.mean(len(json.dumps(one.to_json())) for (one,) in singles)
        seconds, parsing = span(log), min(cpu(relay, log) for _ in range(3))
        ways = {"one by one": (singles, 1), "in batches": (batches, BATCH)}
        taken: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
        for number in range(rounds):
            for way, (puts, settled_at_once) in ways.items():
                for place in ("disk", "memory"):
                    folder = Path(scratch) / f"{number} {way}" if place == "disk" else None
                    figures = one_round(puts, settled_at_once, folder)
                    taken.setdefault((place, way), []).append(figures)
    print(f"{NODES} records of {size:.0f} bytes, {rounds} rounds: minimum, median, us of CPU each")
    for (place, way), figures in taken.items():
        puts = [put for put, _, _ in figures]
        wholes = [put + settle for put, settle, _ in figures]
        for what, each in (("put", puts), ("put, lease, acknowledge", wholes)):
            least, median = (t / NODES * 1e6 for t in (min(each), statistics.median(each)))
            print(f"{place:<7} {way:<11} {what:<24} {least:6.0f} {median:6.0f}")
        worst = statistics.median(longest for _, _, longest in figures) * 1e3
        print(f"{place:<7} {way:<11} {'longest single put':<24} {worst:6.1f} ms, median")
    whole = statistics.median(put + settle for put, settle, _ in taken["disk", "one by one"])
    print(
        f"one by one, on disk: {whole:.2f} s, {whole / parsing:.0%} of {parsing:.2f} s of parsing,"
    )
    print(f"and {whole / seconds:.2%} of the run's {seconds:.0f} s")


if __name__ == "__main__":
    main()
