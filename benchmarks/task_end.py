"""How long after its node a task ends: a task group beside Astronomer Cosmos, in one Airflow.

    .venv/bin/python benchmarks/task_end.py [ROUNDS]

A project of 42 models in six layers is built by `dbt_task_group` and by a DbtTaskGroup of Cosmos
(`ExecutionMode.WATCHER`), in turn, in the same Airflow on SQLite. `lag` is the time from the end of
a node, by dbt's run_results.json, to the end of its task; Cosmos runs dbt in a copy of the project,
whose run_results.json nobody keeps. Figures are seconds.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from real_airflow.airflow import Airflow  # noqa: E402
from real_airflow.conftest import deploy, inherited  # noqa: E402
from real_airflow.server import Server  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

LAYERS, WIDTH = 6, 7
PROJECT = """
name: shop
version: "1.0"
profile: shop
models: {+materialized: table}
"""
PROFILE = """
shop:
  target: dev
  outputs:
    dev: {type: duckdb, path: "{{ env_var('SHOP_DUCKDB', 'shop.duckdb') }}", threads: 4}
"""
OURS = """
import os
from airflow.sdk import DAG
from dbt_relay.provider import dbt_task_group

PROJECT = os.environ["DBT_PROJECT_DIR"]
with DAG("relay", schedule=None):
    dbt_task_group(manifest=f"{PROJECT}/manifest.json", command="dbt build", cwd=PROJECT)
"""
THEIRS = """
import os
import shutil
from airflow.sdk import DAG
from cosmos import (
    DbtTaskGroup, ExecutionConfig, ExecutionMode, LoadMode, ProfileConfig, ProjectConfig,
    RenderConfig, TestBehavior,
)

PROJECT = os.environ["DBT_PROJECT_DIR"]
with DAG("cosmos", schedule=None):
    DbtTaskGroup(
        group_id="dbt",
        project_config=ProjectConfig(PROJECT, manifest_path=f"{PROJECT}/manifest.json"),
        profile_config=ProfileConfig(
            "shop", "dev", profiles_yml_filepath=f"{PROJECT}/profiles.yml"
        ),
        execution_config=ExecutionConfig(
            execution_mode=ExecutionMode.WATCHER, dbt_executable_path=shutil.which("dbt")
        ),
        render_config=RenderConfig(
            load_method=LoadMode.DBT_MANIFEST, test_behavior=TestBehavior.NONE
        ),
    )
"""


def write_project(folder: Path) -> None:
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text(PROJECT)
    (folder / "profiles.yml").write_text(PROFILE)
    for layer in range(LAYERS):
        for place in range(WIDTH):
            parents = [f"m_{layer - 1}_{(place + n) % WIDTH}" for n in range(2)] if layer else []
            refs = "".join(f" union all select * from {{{{ ref('{p}') }}}}" for p in parents)
            (folder / "models" / f"m_{layer}_{place}.sql").write_text(f"select 1 as id{refs}")


def seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def node_ends(results: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """The name of each node, and when it ended."""
    for result in results["results"]:
        name = result["unique_id"].rpartition(".")[2]
        yield name, max(seconds(phase["completed_at"]) for phase in result["timing"])


def measure(airflow: Airflow, dag_id: str, results: Path) -> tuple[list[float], float]:
    """The lag of each node's task, and the whole DAG run."""
    run_id, state = airflow.run(dag_id)
    assert state == "success", airflow.report()
    lags: list[float] = []
    if dag_id == "relay":
        ended = dict(node_ends(json.loads(results.read_text())))
        tasks = {ti["task_id"].rpartition(".")[2]: ti for ti in airflow.tis(dag_id, run_id)}
        lags = [seconds(tasks[name]["end_date"]) - at for name, at in ended.items()]
    run = airflow.dag_run(dag_id, run_id)
    return lags, seconds(run["end_date"]) - seconds(run["start_date"])


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    programs = f"{ROOT / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"
    with tempfile.TemporaryDirectory() as temporary:
        home, project = Path(temporary, "airflow"), Path(temporary, "shop")
        home.mkdir()
        write_project(project)
        deploy(project, programs)
        server = Server(ROOT / ".venv-airflow/bin/airflow", home, inherited())
        server.environ |= {
            "PATH": programs,
            "DBT_PROJECT_DIR": str(project),
            "SHOP_DUCKDB": str(project / "shop.duckdb"),
            "DBT_RELAY_STATE_DIR": str(home / "state"),
        }
        server.dags.mkdir()
        (server.dags / "relay.py").write_text(OURS)
        (server.dags / "cosmos.py").write_text(THEIRS)
        shutil.rmtree(project / "logs", ignore_errors=True)
        try:
            server.start()
            airflow = Airflow(server, project, project)
            lags: dict[str, list[float]] = {"relay": [], "cosmos": []}
            wholes: dict[str, list[float]] = {"relay": [], "cosmos": []}
            for dag_id in lags:
                airflow.wait_for_dag(dag_id)
            for _ in range(rounds):
                for dag_id in lags:
                    found, whole = measure(airflow, dag_id, project / "target/run_results.json")
                    lags[dag_id] += found
                    wholes[dag_id].append(whole)
        finally:
            server.stop()
    print(f"{LAYERS * WIDTH} models, {rounds} rounds: seconds")
    print(f"{'':<8} {'lag p50':>8} {'lag p99':>8} {'DAG run':>8} {'from':>6} {'to':>6}")
    for dag_id, of_dag in lags.items():
        p50, p99 = (
            (f"{statistics.median(of_dag):.1f}", f"{statistics.quantiles(of_dag, n=100)[98]:.1f}")
            if of_dag
            else ("-", "-")
        )
        whole = wholes[dag_id]
        print(
            f"{dag_id:<8} {p50:>8} {p99:>8}"
            f" {statistics.median(whole):8.1f} {min(whole):6.1f} {max(whole):6.1f}"
        )


if __name__ == "__main__":
    main()
