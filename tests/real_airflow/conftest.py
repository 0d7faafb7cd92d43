"""One real Airflow for all tests of this folder."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.census import kill, processes_with

from .airflow import Airflow
from .kubernetes import Kubernetes
from .projects import ROOT, deploy, flaky_project_in, inherited, project_in
from .server import Server

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

HERE = Path(__file__).parent
EXAMPLES = ("dbt_alerts", "dbt_build", "dbt_nodes", "kubernetes_pod")
DAGS = (
    *EXAMPLES,
    *("command", "command_twice", "command_timeout", "command_mapped"),
    "connection",
    *("operator", "operator_timeout", "operator_mapped", "operator_flaky", "operator_pods"),
    *("group", "group_folders", "group_flaky", "group_cleared", "group_retries"),
    *("group_assets", "group_form"),
    "operator_assets",
    *("nodes_modes", "nodes_mapped", "nodes_flaky", "nodes_waits"),
)
COPIES = (
    "group",
    "group_folders",
    "group_retries",
    "group_assets",
    "group_form",
    "operator_assets",
)
FLAKY_COPIES = ("group_flaky", "group_cleared")
"""DAGs with a copy of the project, or of the flaky project, of their own."""


def _executable(path: Path, variable: str) -> Path:
    if not (path.is_file() and os.access(path, os.X_OK)):
        pytest.fail(
            f"no {path}: `make test` creates it, or name another by {variable}", pytrace=False
        )
    return path.absolute()


def _programs() -> str:
    """A PATH that leads to dbt-relay and dbt."""
    programs = Path(os.environ.get("DBT_RELAY_TEST_BIN") or ROOT / ".venv/bin")
    for program in ("dbt-relay", "dbt"):
        _executable(programs / program, "DBT_RELAY_TEST_BIN")
    return f"{programs.absolute()}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture(scope="session")
def kubernetes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubernetes]:
    """The cluster that this Airflow's pod operators find."""
    folder = tmp_path_factory.mktemp("kubernetes")
    with Kubernetes(folder, project_in(folder), _programs()) as running:
        yield running


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory, kubernetes: Kubernetes) -> Iterator[Airflow]:
    """An Airflow whose workers are set up as the example's README says, with the USER role."""
    executable = _executable(
        Path(os.environ.get("DBT_RELAY_TEST_AIRFLOW") or ROOT / ".venv-airflow/bin/airflow"),
        "DBT_RELAY_TEST_AIRFLOW",
    )
    programs = _programs()
    home = tmp_path_factory.mktemp("airflow")
    project, flaky = project_in(home), flaky_project_in(home)
    for deployed in (project, flaky):
        deploy(deployed, programs)
    for dag_id in FLAKY_COPIES:
        shutil.copytree(flaky, home / dag_id)
    for dag_id in COPIES:
        shutil.copytree(project, home / dag_id)
    server = Server(executable, home, inherited())
    server.environ |= {
        "PATH": programs,
        "KUBECONFIG": str(kubernetes.config),
        "DBT_PROJECT_DIR": str(project),
        "DBT_ALERTS_FILE": str(home / "alerts.txt"),
        "DBT_RELAY_AIRFLOW_URL": server.url,
        "DBT_RELAY_AIRFLOW_USERNAME": "user",
        "DBT_RELAY_AIRFLOW_PASSWORD": server.passwords["user"],
    }
    server.dags.mkdir()
    examples = [ROOT / f"examples/airflow/{name}.py" for name in EXAMPLES]
    for dag_file in (*examples, *HERE.glob("dags/*.py")):
        shutil.copy(dag_file, server.dags)
    try:
        server.start()
        running = Airflow(server, project, flaky)
        for dag_id in DAGS:
            running.wait_for_dag(dag_id)
        yield running
    finally:
        server.stop()
    assert not server.processes_left(within=5.0)


@pytest.fixture
def marker() -> Iterator[str]:
    """A text that finds a command's processes; whatever a failed test left of them is killed."""
    marker = uuid.uuid4().hex
    yield marker
    kill(processes_with(marker))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    airflow = getattr(item, "funcargs", {}).get("airflow")
    if report.when == "call" and report.failed and isinstance(airflow, Airflow):
        report.sections.append(("Airflow", airflow.report()))
    return report
