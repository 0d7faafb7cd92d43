"""What the journal costs: every record is committed to a file before it is sent.

    python benchmarks/journal.py [ROUNDS]

The records come from the log that benchmarks/parse.py reads (dbt 1.11.16, DuckDB): 2,000 views and
200 tests. Each gets a message of half a KB, so that a record has 1.5 KB, like a record with an
error text. Each round puts all records into a new journal, and then leases and acknowledges each of
them for one sink. It does so on the disk of TMPDIR and in memory. The figures are microseconds of
wall time per record.

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

from parse import NODES, PACKED, cpu, relay

from dbt_relay.parser import Event, EventReader, Run
from dbt_relay.sinks import Journal, RunInfo

if TYPE_CHECKING:
    from dbt_relay.records.schema import NodeRecord

INFO = RunInfo(command=("dbt", "build"), started_at="2026-01-02T03:04:05Z", sinks={"airflow": {}})
MESSAGE = "Database Error in model: column does not exist. " * 13
Taken = dict[str, list[float]]


def records(log: Path) -> list[NodeRecord]:
    reader, run = EventReader(), Run()
    found: list[NodeRecord] = []
    with log.open("rb") as file:
        while chunk := file.read(65536):
            for item in reader.feed(chunk):
                if isinstance(item, Event):
                    found += run.feed(item) or ()
    found += run.finish()
    assert len(found) == NODES
    return [replace(record, message=MESSAGE) for record in found]


def span(log: Path) -> float:
    """Seconds from the first event to the last."""
    lines = log.read_bytes().splitlines()
    first, last = (json.loads(line)["info"]["ts"].rstrip("Z") for line in (lines[0], lines[-1]))
    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()


def one_round(all_records: list[NodeRecord], folder: Path | None) -> tuple[float, float, float]:
    """Seconds for putting all records, for settling all records, and for the longest put."""
    clock, longest = time.perf_counter, 0.0
    with Journal(folder) as journal:
        run = journal.begin(INFO)
        start = clock()
        for record in all_records:
            before = clock()
            run.put(record, 0.0)
            longest = max(longest, clock() - before)
        put = clock()
        for _ in all_records:
            leased = run.queue("airflow").lease(0.0)
            assert leased is not None
            run.queue("airflow").acknowledge(leased)
        settled = clock()
        assert journal.trouble is None
        assert run.queue("airflow").next_due() is None
    return put - start, settled - put, longest


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "dbt.jsonl"
        with gzip.open(PACKED) as packed, log.open("wb") as file:
            shutil.copyfileobj(packed, file)
        all_records = records(log)
        size = statistics.mean(len(json.dumps(record.to_json())) for record in all_records)
        seconds, parsing = span(log), min(cpu(relay, log) for _ in range(3))
        puts: Taken = {"disk": [], "memory": []}
        wholes: Taken = {"disk": [], "memory": []}
        longest: Taken = {"disk": [], "memory": []}
        for number in range(rounds):
            for kind in puts:
                folder = Path(scratch) / f"{number}" if kind == "disk" else None
                put, settle, worst = one_round(all_records, folder)
                puts[kind].append(put)
                wholes[kind].append(put + settle)
                longest[kind].append(worst)
    print(f"{NODES} records of {size:.0f} bytes, {rounds} rounds: minimum, median")
    for kind in puts:
        for what, taken in (("put", puts[kind]), ("put, lease, acknowledge", wholes[kind])):
            least, median = (t / NODES * 1e6 for t in (min(taken), statistics.median(taken)))
            print(f"{kind:<7} {what:<24} {least:6.0f} {median:6.0f} us a record")
        worst, usual = max(longest[kind]) * 1e3, statistics.median(longest[kind]) * 1e3
        print(
            f"{kind:<7} {'longest single put':<24} {worst:6.1f} ms (median of rounds {usual:.1f})"
        )
    whole = statistics.median(wholes["disk"])
    print(f"in all, on disk: {whole:.2f} s, {whole / parsing:.0%} of {parsing:.2f} s of parsing,")
    print(f"and {whole / seconds:.2%} of the run's {seconds:.0f} s")


if __name__ == "__main__":
    main()
