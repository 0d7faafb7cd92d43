"""How soon 200 records that come at once are in Airflow, and how quick the server is by itself.

    python benchmarks/burst.py [ROUNDS]

`dbt-relay run` wraps a stand-in for dbt whose 200 nodes end in one moment. The server on loopback
answers as Airflow does. Each round also sends 200 XComs to it in a bare loop over one connection.
Figures are medians of the rounds, in milliseconds: from the line of the last node to its request,
with one worker and with four, and the bare loop.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import urllib3
from rest_task import BEGINNING
from support.environment import NAMED_TASK, clean_environment
from support.fake_airflow import FakeAirflow

NODES = 200
STAND_IN = (
    BEGINNING
    + """
time.sleep(1)  # the relay has its connection by then, as in any run of dbt
for number in range(int(sys.argv[2])):
    node = {"unique_id": f"model.shop.m{number}", "node_name": f"m{number}"}
    result = {"status": "success", "message": "OK", "execution_time": 0.5}
    say("NodeFinished", {"node_info": node, "run_result": result})
with open(sys.argv[1], "w") as last:
    last.write(str(time.time()))
"""
)


class TimedAirflow(FakeAirflow):
    """Knows when it got the last record of a node."""

    last = 0.0

    def log(self, request: object) -> None:
        super().log(request)
        if "model.shop" in (getattr(request, "key", None) or ""):
            self.last = time.time()


def relayed(scratch: Path, workers: int) -> float:
    """Seconds from the last line of dbt to the last record."""
    ended = scratch / "ended"
    dbt = [sys.executable, "-S", str(scratch / "dbt.py"), str(ended), str(NODES)]
    command = [sys.executable, "-m", "dbt_relay", "run", "--workers", str(workers)]
    command += ["--sink", "airflow", "--strict-delivery", "--", *dbt]
    with TimedAirflow() as airflow:
        env = clean_environment(DBT_RELAY_STATE_DIR=str(scratch / "state"))
        subprocess.run(
            command, env={**env, **airflow.env, **NAMED_TASK}, check=True, capture_output=True
        )
        return max(0.0, airflow.last - float(ended.read_text()))


def bare() -> float:
    """Seconds that the server takes for as many XComs, one after the other."""
    with FakeAirflow() as airflow:
        pool = urllib3.connection_from_url(airflow.env["DBT_RELAY_AIRFLOW_URL"], maxsize=1)
        login = {
            "username": airflow.env["DBT_RELAY_AIRFLOW_USERNAME"],
            "password": airflow.env["DBT_RELAY_AIRFLOW_PASSWORD"],
        }
        token = pool.request("POST", "/auth/token", json=login).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        path = "/api/v2/dags/shop/dagRuns/run%2B1/taskInstances/dbt/xcomEntries"
        began = time.perf_counter()
        for number in range(NODES):
            value = {"unique_id": f"model.shop.m{number}", "status": "success"}
            entry = {"key": f"m{number}", "value": value, "map_index": -1}
            answer = pool.request("POST", path, json=entry, headers=headers)
            assert answer.status == 201, (answer.status, answer.data)
        return time.perf_counter() - began


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        (scratch / "dbt.py").write_text(STAND_IN)
        taken: dict[str, list[float]] = {
            "dbt-relay, 1 worker": [],
            "dbt-relay, 4 workers": [],
            "bare loop": [],
        }
        for _ in range(rounds):
            taken["dbt-relay, 1 worker"].append(relayed(scratch, 1))
            taken["dbt-relay, 4 workers"].append(relayed(scratch, 4))
            taken["bare loop"].append(bare())
    for name, seconds in taken.items():
        median = statistics.median(seconds)
        rate = f"{NODES / median:6.0f} a second" if median else ""
        print(f"{name:<22} {median * 1e3:6.0f} ms   {rate}")


if __name__ == "__main__":
    main()
