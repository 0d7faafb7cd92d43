"""dbt-relay as a provider of Airflow: what Airflow's own commands say of it."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

import dbt_relay

if TYPE_CHECKING:
    from .airflow import Airflow

CHECK = """
import json, pathlib, airflow, jsonschema
from importlib.metadata import entry_points
(ours,) = [e for e in entry_points(group="apache_airflow_provider") if "dbt_relay" in e.value]
path = pathlib.Path(airflow.__file__).with_name("provider_info.schema.json")
jsonschema.validate(ours.load()(), json.loads(path.read_text()))
"""


@pytest.fixture(scope="module")
def command(airflow: Airflow) -> Any:
    """Runs a program of Airflow's environment: its output, and its words on standard error."""
    programs = airflow.server.executable.parent

    def run(program: str, *words: str, **variables: str) -> tuple[str, str]:
        done = subprocess.run(
            [programs / program, *words],
            env={**airflow.server.environ, **variables},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout, done.stderr

    return run


def test_airflow_lists_the_provider_without_a_warning(command: Any) -> None:
    listed, said = command("airflow", "providers", "get", "dbt-relay", "--full", "-o", "json")
    (provider,) = json.loads(listed)
    assert provider["package-name"] == "dbt-relay"
    assert provider["versions"] == [dbt_relay.__version__]
    assert "dbt" not in said


def test_the_info_has_the_form_that_airflow_asks_for(command: Any) -> None:
    command("python", "-c", CHECK)
