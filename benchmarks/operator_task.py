"""What DbtRelayOperator costs and how fast it is, beside `dbt-relay run` over REST, in one Airflow.

    .venv/bin/python benchmarks/operator_task.py [ROUNDS]

A stand-in for dbt writes the events of N nodes with a pause after each. `CPU` is the CPU time of
the task's processes above a task that only runs the stand-in, in seconds. `p50` and `p99` are the
milliseconds from the line of a node's end to its XCom in Airflow's database. `calls` are the
requests for XComs that Airflow got for each node. `records/s` is for 500 nodes without a pause.
"""

from __future__ import annotations

import os
import re
import sqlite3
import statistics
import sys
import tempfile
from collections import defaultdict
from contextlib import closing
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from real_airflow.airflow import Airflow  # noqa: E402
from real_airflow.conftest import inherited  # noqa: E402
from real_airflow.server import Server  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

SHAPES = {"3 nodes": (3, 0.5), "200 nodes": (200, 0.05), "500 nodes, no pause": (500, 0.0)}
"""Nodes, and seconds after each."""
STAND_IN = """
import datetime, json, sys, time

def say(name, data, level="debug"):
    ts = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    info = {"category": "", "code": "", "extra": {}, "invocation_id": "i-1", "level": level,
            "msg": name, "name": name, "pid": 7, "thread": "Thread-1", "ts": ts}
    sys.stdout.write(json.dumps({"data": data, "info": info}) + "\\n")
    sys.stdout.flush()

nodes, pause, ends = int(sys.argv[1]), float(sys.argv[2]), open(sys.argv[3], "w")
say("MainReportVersion", {"version": "=1.11.16", "log_version": 3}, "info")
for number in range(nodes):
    name = f"m{number:03}"
    node = {"unique_id": f"model.shop.{name}", "node_name": name, "resource_type": "model",
            "node_path": f"{name}.sql", "materialized": "table", "node_started_at": ""}
    say("NodeStart", {"node_info": node})
    time.sleep(pause)
    ends.write(f"model.shop.{name} {time.time()}\\n")
    say("NodeFinished", {"node_info": node, "run_result": {
        "status": "success", "message": "OK", "execution_time": pause, "thread": "Thread-1",
        "adapter_response": {"_message": "OK", "rows_affected": 1}}})
"""
MEASURED = '''
import os, subprocess, sys
from airflow.sdk import DAG

def spent():
    return sum(os.times()[:4])

def command(nodes, pause):
    return ["python3", {stand_in!r}, str(nodes), str(pause), {ends!r}]

class Measured:
    """Adds the CPU time of the task's processes, from the start of the process, as an XCom."""

    def execute(self, context):
        found = super().execute(context)
        context["ti"].xcom_push("cpu", spent())
        return found
'''
FILES = {
    "bare": """
from airflow.sdk import BaseOperator

class Bare(BaseOperator):
    def __init__(self, command, **options):
        super().__init__(**options)
        self.command = command

    def execute(self, context):
        subprocess.run(self.command, stdout=subprocess.DEVNULL, check=True)

class Task(Measured, Bare):
    pass

def task(nodes, pause):
    Task(task_id="dbt", command=command(nodes, pause))
""",
    "operator": """
from dbt_relay.provider import DbtRelayOperator

class Task(Measured, DbtRelayOperator):
    pass

def task(nodes, pause):
    Task(task_id="dbt", command=command(nodes, pause))
""",
    "rest": """
import shlex
from airflow.providers.standard.operators.bash import BashOperator

class Task(Measured, BashOperator):
    pass

def task(nodes, pause):
    Task(task_id="dbt", bash_command="dbt-relay run -- " + shlex.join(command(nodes, pause)))
""",
}


class Figures(NamedTuple):
    cpu: float
    latencies: list[float]
    calls: float
    rate: float


def measure(airflow: Airflow, dag_id: str, nodes: int, ends: Path) -> Figures:
    run_id, state = airflow.run(dag_id)
    assert state == "success", airflow.report()
    cpu = float(airflow.xcom(dag_id, run_id, "dbt", "cpu"))
    ended = {key: float(at) for key, at in map(str.split, ends.read_text().splitlines())}
    arrived = dict(arrivals(airflow, dag_id, run_id))
    latencies = [1000 * (arrived[key] - at) for key, at in ended.items() if key in arrived]
    took = max(arrived.values(), default=0.0) - min(ended.values())
    log = airflow.server.log("api-execution") + airflow.server.log("api-core")
    calls = len(re.findall(rf"method=\S+ path=\S*{re.escape(run_id)}\S*xcom", log)) + len(
        re.findall(rf"method=\S+ path=/execution/xcoms/\S*{re.escape(run_id)}", log)
    )
    return Figures(cpu, latencies, calls / nodes, len(latencies) / took if latencies else 0.0)


def arrivals(airflow: Airflow, dag_id: str, run_id: str) -> Iterator[tuple[str, float]]:
    """When Airflow stored the XCom of each node, by its key."""
    query = "select key, timestamp from xcom where dag_id = ? and run_id = ? and key like 'model.%'"
    uri = f"file:{airflow.server.database}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=10)) as database:
        for key, at in database.execute(query, (dag_id, run_id)):
            moment = datetime.fromisoformat(at).replace(tzinfo=timezone.utc)
            yield key, moment.timestamp()


def write_dags(server: Server, folder: Path) -> None:
    stand_in, ends = folder / "stand_in.py", folder / "ends"
    stand_in.write_text(STAND_IN)
    server.dags.mkdir()
    head = MEASURED.replace("{stand_in!r}", repr(str(stand_in))).replace(
        "{ends!r}", repr(str(ends))
    )
    for name, text in FILES.items():
        dags = "".join(
            f"with DAG('{name}_{number}', schedule=None):\n    task({nodes}, {pause})\n"
            for number, (nodes, pause) in enumerate(SHAPES.values())
        )
        (server.dags / f"{name}.py").write_text(head + text + dags)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    programs = f"{ROOT / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"
    found: dict[tuple[str, str], list[Figures]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary, "airflow")
        home.mkdir()
        server = Server(ROOT / ".venv-airflow/bin/airflow", home, inherited())
        server.environ |= {
            "PATH": programs,
            "DBT_RELAY_STATE_DIR": str(home / "state"),
            "DBT_RELAY_AIRFLOW_URL": server.url,
            "DBT_RELAY_AIRFLOW_USERNAME": "user",
            "DBT_RELAY_AIRFLOW_PASSWORD": server.passwords["user"],
        }
        write_dags(server, Path(temporary))
        try:
            server.start()
            airflow = Airflow(server, home, home)
            for name in FILES:
                airflow.wait_for_dag(f"{name}_0")
            for _ in range(rounds):
                for number, (shape, (nodes, _pause)) in enumerate(SHAPES.items()):
                    for name in FILES:
                        ends = Path(temporary, "ends")
                        figures = measure(airflow, f"{name}_{number}", nodes, ends)
                        found[shape, name].append(figures)
        finally:
            server.stop()
    print(f"{rounds} rounds: medians")
    print(f"{'':<22} {'':<9} {'CPU s':>6} {'p50 ms':>7} {'p99 ms':>7} {'calls':>6} {'rec./s':>7}")
    for shape in SHAPES:
        bare = statistics.median(f.cpu for f in found[shape, "bare"])
        for name in ("operator", "rest"):
            of_name = found[shape, name]
            late = [value for figures in of_name for value in figures.latencies]
            p99 = statistics.quantiles(late, n=100)[98]
            print(
                f"{shape:<22} {name:<9}"
                f" {statistics.median(f.cpu for f in of_name) - bare:6.2f}"
                f" {statistics.median(late):7.0f} {p99:7.0f}"
                f" {statistics.median(f.calls for f in of_name):6.2f}"
                f" {statistics.median(f.rate for f in of_name):7.1f}"
            )


if __name__ == "__main__":
    main()
