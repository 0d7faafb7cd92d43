"""What waiting costs Airflow: requests for each node and minute, beside Cosmos.

    python benchmarks/polls.py AIRFLOW [SECONDS]

AIRFLOW is the `airflow` of an environment with `dbt-relay[airflow]` and astronomer-cosmos. In a
real Airflow, a task runs for each row below, and nodes wait for it that do not end, with the same
interval of 10 s. Counted for SECONDS in the middle are the access log of the API that serves tasks,
and the same calls of the triggerer, which has that API in its own process. A sensor that is
rescheduled, or stays in its worker, also asks to be started and to be kept alive: that is in the
last column.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from real_airflow.airflow import Airflow  # noqa: E402
from real_airflow.server import Server  # noqa: E402

NODES = {"poke": 2, "reschedule": 2, "deferred": 8, "cosmos_poke": 2, "cosmos_deferred": 8}
SETTLE = 30.0
DAG = """
import time
from airflow.sdk import DAG, get_current_context, task
from cosmos.config import ProfileConfig
from cosmos.operators.watcher import DbtRunWatcherOperator
from dbt_relay.provider import DbtNodeSensor

EVENTS = [{"name": name, "msg": name} for name in ("MainReportVersion", "AdapterRegistered")]

@task
def runs_dbt(seconds):
    get_current_context()["ti"].xcom_push("dbt_startup_events", EVENTS)
    time.sleep(seconds)

with DAG("polls", schedule=None):
    for mode, nodes in NODES.items():
        runs_dbt.override(task_id=mode)(SECONDS)
        for i in range(nodes):
            node, task_id = f"model.polls.{mode}_{i}", f"{mode}_{i}"
            if mode.startswith("cosmos"):
                DbtRunWatcherOperator(
                    task_id=task_id, producer_task_id=mode, project_dir="/nowhere",
                    profile_config=ProfileConfig(
                        profile_name="p", target_name="t", profiles_yml_filepath=__file__
                    ),
                    extra_context={"dbt_node_config": {"unique_id": node}},
                    deferrable=mode.endswith("deferred"),
                )
            else:
                DbtNodeSensor(
                    task_id=task_id, producer_task_id=mode, unique_id=node,
                    mode="reschedule" if mode == "reschedule" else "poke",
                    deferrable=mode == "deferred", poke_interval=10,
                )
"""
# The triggerer's calls, written down as the API writes its access log.
COUNTING = """
import sys, threading, time
from datetime import datetime, timezone

def write_down(path, task):
    now = datetime.now(timezone.utc).isoformat()
    line = f"{now} request finished method=GET path=/execution/{path} query='task_ids={task}'"
    with open("triggerer-calls", "a") as file:
        print(line, "status_code=200", file=file)

def patch():
    while "airflow.sdk.execution_time.xcom" not in sys.modules:
        time.sleep(0.05)
    time.sleep(1)
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
    from airflow.sdk.execution_time.xcom import XCom
    states, get_one = RuntimeTaskInstance.get_task_states, XCom.get_one

    def get_task_states(**asked):
        write_down("task-instances/states", asked["task_ids"][0])
        return states(**asked)

    def get(**asked):
        write_down(f"xcoms/dag/run/{asked['task_id']}/{asked['key']}", "")
        return get_one(**asked)

    RuntimeTaskInstance.get_task_states, XCom.get_one = staticmethod(get_task_states), get

if "triggerer" in sys.argv or "triggerer" in " ".join(sys.orig_argv):
    threading.Thread(target=patch, daemon=True).start()
"""
REQUEST = re.compile(
    r"(?m)^(\S+) .*request finished.* method=(\S+) path=/execution/(\S+) query=(.*) status"
)


def count(log: str, tasks: dict[str, str], since: str, until: str) -> dict[str, Counter[str]]:
    """By mode: XCom reads, state reads, and all requests. `tasks` are task ids by instance id."""
    found = {mode: Counter[str]() for mode in NODES}
    for at, method, path, query in REQUEST.findall(log):
        if not since < at < until:
            continue
        kind = "other"
        if path.startswith("xcoms/"):
            kind = "xcoms"
            task = path.split("/")[3]
        elif path == "task-instances/states":
            kind = "states"
            task = next(iter(re.findall(r"task_ids=([^&']+)", query)), "")
        else:
            task = tasks.get(
                next(iter(re.findall(r"task-instances/([0-9a-f-]{36})", path)), ""), ""
            )
            task = re.sub(r"_\d+$", "", task) if re.search(r"_\d+$", task) else ""
        if task in found and (method == "GET" or kind == "other"):
            found[task][kind] += 1
    return found


def main() -> None:
    executable, seconds = Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 60.0
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        environ = {k: v for k, v in os.environ.items() if not k.startswith(("AIRFLOW", "DBT_"))}
        server = Server(executable, home, environ)
        server.environ["AIRFLOW__CORE__PARALLELISM"] = "16"
        server.environ["AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL"] = "5"
        server.dags.mkdir()
        (home / "site").mkdir()
        (home / "site/sitecustomize.py").write_text(COUNTING)
        (home / "triggerer-calls").touch()
        server.environ["PYTHONPATH"] = str(home / "site")
        head = f"NODES = {json.dumps(NODES)}\nSECONDS = {2 * SETTLE + seconds}\n"
        (server.dags / "polls.py").write_text(head + DAG)
        try:
            server.start()
            airflow = Airflow(server, home, home)
            airflow.wait_for_dag("polls")
            run_id = airflow.trigger("polls")
            while airflow.ti("polls", run_id, "cosmos_deferred")["state"] != "running":
                time.sleep(0.5)
            time.sleep(SETTLE)
            since = time.time()
            time.sleep(seconds)
            until = time.time()
            tasks = {t["id"]: t["task_id"] for t in airflow.tis("polls", run_id)}
            log = server.log("api-execution") + (home / "triggerer-calls").read_text()
        finally:
            server.stop()
    span = [time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) for at in (since, until)]
    print(f"{'requests a node and minute':28}{'XComs':>8}{'states':>8}{'all':>8}")
    for mode, kinds in count(log, tasks, *span).items():
        minutes = NODES[mode] * seconds / 60
        per = [kinds["xcoms"], kinds["states"], kinds.total()]
        print(f"{mode:28}" + "".join(f"{number / minutes:8.1f}" for number in per))


if __name__ == "__main__":
    main()
