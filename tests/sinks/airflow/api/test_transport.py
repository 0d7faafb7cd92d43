"""Airflow's client is imported in part, and as a whole where a part is not enough."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

OPEN = """
from dbt_relay.sinks.airflow.api.settings import AirflowSettings, Login
from dbt_relay.sinks.airflow.api.client import Client
from dbt_relay.records.task import TaskInstance
task = TaskInstance("d", "r", "t")
client = Client(AirflowSettings("http://localhost:1", task, Login(token="t")))
"""
WHOLE_CLIENT = ("pydantic", "dateutil", "airflow_client.client")


def output_of(code: str, first_on_path: Path | None = None) -> str:
    """What a fresh Python prints."""
    if first_on_path is not None:
        code = f"import sys; sys.path.insert(0, {str(first_on_path)!r})\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    return done.stdout


def test_this_client_is_imported_in_part() -> None:
    """Fails with a client whose modules need more: see `sinks/airflow/api/transport.py`."""
    ask = f"import sys; print(*(name for name in {WHOLE_CLIENT} if name in sys.modules))"
    assert output_of(f"{OPEN}{ask}").split() == []


def test_who_imports_the_client_afterwards_gets_all_of_it() -> None:
    later = "from airflow_client.client import XComApi; print(XComApi.__name__)"
    assert output_of(f"{OPEN}{later}").split() == ["XComApi"]


def test_a_client_that_is_there_already_is_used() -> None:
    before = "import airflow_client.client as whole"
    ask = "import sys; print(sys.modules['airflow_client.client'] is whole)"
    assert output_of(f"{before}\n{OPEN}{ask}").split() == ["True"]


def test_a_client_whose_modules_need_their_package_is_imported_whole(tmp_path: Path) -> None:
    package = tmp_path / "airflow_client" / "client"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("LIMIT = 3\nprint('all of it')\n")
    (package / "configuration.py").write_text(
        "from airflow_client.client import LIMIT\n"
        "class Configuration:\n"
        "    def __init__(self, **options): print(*sorted(options))\n"
    )
    (package / "rest.py").write_text(
        "import urllib3\n"
        "class RESTClientObject:\n"
        "    def __init__(self, _): self.pool_manager = urllib3.PoolManager()\n"
    )
    assert output_of(OPEN, tmp_path).splitlines() == ["all of it", "host retries"]
