"""What a small task costs that sends its records to Airflow over REST: whole processes.

    python benchmarks/rest_task.py [ROUNDS]

`dbt-relay run` wraps a stand-in for dbt with three nodes, without a sink, with a file of JSON lines
and with a server on loopback that answers as Airflow does. Figures are medians of the rounds: CPU
seconds above those of the stand-in alone, the peak memory of the relay in MB, and the milliseconds
from the line of the first node's end, at second 0 of the run, to its request.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.environment import NAMED_TASK, clean_environment  # noqa: E402
from support.fake_airflow import FakeAirflow  # noqa: E402

RELAY = [sys.executable, "-m", "dbt_relay", "run"]
BEGINNING = """
import json, sys, time

def say(name, data, level="debug"):
    info = {"invocation_id": "i-1", "level": level, "msg": name, "name": name, "pid": 7}
    info |= {"thread": "Thread-1", "ts": "2026-01-01T00:00:00.000000Z"}
    print(json.dumps({"data": data, "info": info}), flush=True)

say("MainReportVersion", {"version": "=1.11.16"}, "info")
"""
"""Of a stand-in for dbt."""
STAND_IN = (
    BEGINNING
    + """
with open(sys.argv[1], "w") as first:
    first.write(str(time.time()))
for name in ("orders", "customers", "payments"):
    node = {"unique_id": f"model.shop.{name}", "node_name": name, "resource_type": "model"}
    result = {"status": "success", "message": "OK", "execution_time": 0.5}
    say("NodeFinished", {"node_info": node, "run_result": result})
    time.sleep(0.5)
"""
)


class Used(NamedTuple):
    cpu: float
    megabytes: float
    first: float | None


class TimedAirflow(FakeAirflow):
    """Knows when it got the first record of a node."""

    first: float | None = None

    def log(self, request: object) -> None:
        key = getattr(request, "key", None) or ""
        if self.first is None and "orders" in key:
            self.first = time.time()


def used(command: list[str], env: dict[str, str]) -> tuple[float, float]:
    """CPU seconds and peak memory in MB of a command that must end well, with its children."""
    process = subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, process.returncode
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def one_round(scratch: Path) -> dict[str, Used]:
    began = scratch / "began"
    dbt = [sys.executable, "-S", str(scratch / "dbt.py"), str(began)]
    env = clean_environment(DBT_RELAY_STATE_DIR=str(scratch / "state"))
    alone, _ = used(dbt, env)
    taken: dict[str, Used] = {}
    for name, sink in (("no sink", []), ("JSON lines", ["--sink", f"jsonl:{scratch}/records"])):
        cpu, megabytes = used([*RELAY, *sink, "--", *dbt], env)
        taken[name] = Used(cpu - alone, megabytes, None)
    with TimedAirflow() as airflow:
        command = [*RELAY, "--sink", "airflow", "--strict-delivery", "--", *dbt]
        cpu, megabytes = used(command, {**env, **airflow.env, **NAMED_TASK})
        assert airflow.first is not None
        delay = airflow.first - float(began.read_text())
        taken["REST"] = Used(cpu - alone, megabytes, delay)
    return taken


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        (scratch / "dbt.py").write_text(STAND_IN)
        one_round(scratch)  # writes the bytecode
        taken = [one_round(scratch) for _ in range(rounds)]
    print(f"3 nodes, medians of {rounds} rounds   CPU      memory   first record after")
    for name in taken[0]:
        cpu = statistics.median(each[name].cpu for each in taken)
        megabytes = statistics.median(each[name].megabytes for each in taken)
        delays = [each[name].first for each in taken]
        known = [delay for delay in delays if delay is not None]
        first = f"{statistics.median(known) * 1e3:6.0f} ms" if known else ""
        print(f"{name:<32} {cpu:6.2f} s {megabytes:6.0f} MB  {first}")


if __name__ == "__main__":
    main()
