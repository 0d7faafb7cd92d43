"""What a year of runs costs: the ledger on disk, writing a run into it, `stats` and `export`.

    python benchmarks/memory.py [RUNS] [NODES]

Makes a journal of one run after another, of a project with so many nodes (1,000 runs of 500 nodes),
as `dbt-relay run` leaves them: a third are models with rows, bytes and a query id as BigQuery
reports them, the rest are tests. Most take about as long as ever, and some code changes each week.
Each run goes into the ledger, and is then pruned from the journal, as at the end of `run`.

Prints the bytes of the ledger for each node and run, the CPU time that the end of a run needs for
it, and for `stats` over 50 runs and over all, `stats --json`, and `export` the seconds and the peak
memory of the whole process.
"""

from __future__ import annotations

import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path

from dbt_relay.records.outcomes import outcome_of
from dbt_relay.records.schema import NodeRecord, RunRecord
from dbt_relay.sinks import Journal, RunInfo
from dbt_relay.sinks.journal.history import prune
from dbt_relay.sinks.ledger.catching_up import catch_up, forget
from dbt_relay.sinks.ledger.file import FILE, open_ledger

FIRST = datetime(2026, 1, 1, tzinfo=timezone.utc)
EVERY = timedelta(hours=8)
random.seed(14)


def text(time: datetime) -> str:
    return time.isoformat(timespec="microseconds").replace("+00:00", "Z")


def record(node: int, run: int, start: datetime) -> NodeRecord:
    """A node's record in a run: each third node is a model, the others are tests."""
    is_model = node % 3 == 0
    begun = start + timedelta(seconds=node * 0.4)
    took = (5.0 if is_model else 0.8) * random.lognormvariate(0, 0.15)
    took *= 2.5 if node % 60 == 0 and run > 900 else 1.0
    status = "success" if is_model else "fail" if random.random() < 0.002 else "pass"
    version = (run + node) // 21 if is_model else None
    answer = {
        "_message": f"CREATE TABLE ({node * 3}.0 rows)",
        "code": "CREATE TABLE",
        "rows_affected": node * 1000 + run,
        "bytes_processed": node * 1_000_000 + run * 512,
        "bytes_billed": node * 1_048_576,
        "slot_ms": round(took * 4000),
        "job_id": str(uuid.UUID(int=random.getrandbits(128))),
    }
    kind, ending = ("model", "") if is_model else ("test", f".{node:010x}")
    return NodeRecord(
        unique_id=f"{kind}.warehouse.fct_orders_by_customer_and_day_{node}{ending}",
        resource_type=kind,
        status=status,
        outcome=outcome_of(status),
        started_at=text(begun),
        finished_at=text(begun + timedelta(seconds=took)),
        execution_time=took,
        failures=None if is_model else 3 * (status == "fail"),
        checksum=f"{hash((node, version)) % (1 << 256):064x}" if is_model else None,
        adapter_response=answer if is_model else {},
        thread=f"Thread-{node % 8 + 1} (worker)",
        invocation_id=str(uuid.UUID(int=run)),
        invocation_started_at=text(start),
        dbt_version="1.11.16",
    )


def fill(state: Path, runs: int, nodes: int) -> list[float]:
    """CPU seconds that the end of each run needs for the ledger."""
    taken: list[float] = []
    with Journal(state) as journal:
        for number in range(runs):
            start = FIRST + number * EVERY
            info = RunInfo(
                command=("dbt", "build"), started_at=text(start), project_dir="/srv/warehouse"
            )
            run = journal.begin(info)
            run.put_all([record(node, number, start) for node in range(nodes)], 0.0)
            run.put(RunRecord(state="finished", invocation_id=str(uuid.UUID(int=number))), 0.0)
            before = time.process_time()
            with open_ledger(state) as ledger:
                catch_up(journal, ledger)
                forget(ledger, start.timestamp(), 365.0)
            taken.append(time.process_time() - before)
            run.close()
            prune(journal, start, 2, 14)
    return taken


def whole(*words: str, state: Path) -> tuple[float, float]:
    """CPU seconds and peak MB of a whole process of dbt-relay."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "DBT_RELAY"))}
    env = {**clean, "DBT_RELAY_STATE_DIR": str(state)}
    process = subprocess.Popen(
        [sys.executable, "-m", "dbt_relay", *words], env=env, stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0, words
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    runs, nodes = (int(word) for word in (sys.argv[1:3] or ["1000", "500"]))
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        taken = fill(state, runs, nodes)
        size = (state / FILE).stat().st_size
        each = size / runs / nodes
        print(f"{runs:,} runs of {nodes:,} nodes: {size / 1e6:.1f} MB, {each:.0f} bytes each")
        first, last = (statistics.median(part) * 1e3 for part in (taken[:50], taken[-50:]))
        print(f"end of a run: {first:.0f} ms of CPU in the first runs, {last:.0f} ms in the last")
        for words in (
            ("--help",),
            ("stats",),
            ("stats", "--last", str(runs)),
            ("stats", "--last", str(runs), "--json"),
            ("export", "--jsonl", f"{folder}/all.jsonl"),
            ("export", "--parquet", f"{folder}/parquet"),
        ):
            seconds, peak = whole(*words, state=state)
            print(f"dbt-relay {' '.join(words[:4]):<34} {seconds:6.2f} s CPU {peak:5.0f} MB")
        files = [*Path(folder, "parquet").iterdir()]
        print(f"Parquet: {len(files)} files, {sum(f.stat().st_size for f in files) / 1e6:.1f} MB")
    print(f"this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
