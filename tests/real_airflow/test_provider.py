"""dbt-relay as a provider of Airflow: what Airflow's own commands say of it."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

import dbt_relay

from .api import path_of

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

    def run(program: str, *words: str, code: int = 0, **variables: str) -> tuple[str, str]:
        done = subprocess.run(
            [programs / program, *words],
            env={**airflow.server.environ, **variables},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
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


def test_the_form_of_a_connection_says_what_to_fill_in(airflow: Airflow) -> None:
    forms = airflow.api.call("GET", path_of("connections", "hook_meta").replace("/api/v2", "/ui"))
    (form,) = [f for f in forms.body if f["connection_type"] == "dbt_relay"]
    assert form["hook_name"] == "dbt-relay"
    assert form["standard_fields"]["password"]["title"] == "Password or token"


@pytest.mark.parametrize(
    ("user", "suffix", "words"),
    [
        ("user", "", "Connection success!"),
        ("user", "x", "does not accept this user name and password"),
        ("viewer", "", "forbids writing XComs"),
    ],
)
def test_a_connection_can_be_tested(
    command: Any, airflow: Airflow, user: str, suffix: str, words: str
) -> None:
    server = airflow.server
    secret = server.passwords[user] + suffix
    address = server.url.removeprefix("http://")
    variables = {
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW_CONN_SHOP": f"dbt-relay://{user}:{secret}@{address}",
    }
    code = 0 if "success" in words else 1
    said, errors = command("airflow", "connections", "test", "shop", code=code, **variables)
    assert words in said
    assert secret not in said + errors


def test_a_command_gets_a_connection_that_airflow_keeps(airflow: Airflow) -> None:
    """Its secret is in no field and in no log."""
    secret = airflow.server.passwords["user"]
    address = airflow.server.url.removeprefix("http://")
    host, _, port = address.partition(":")
    body = {
        "connection_id": "relay_to_airflow",
        "conn_type": "dbt_relay",
        "host": host,
        "port": int(port),
        "login": "user",
        "password": secret,
    }
    assert airflow.api.call("POST", path_of("connections"), body).status == 201
    run_id, state = airflow.run("connection")
    log = airflow.whole_log("connection", run_id, "dbt")
    assert state == "success", log
    assert "seed.jaffle.raw_orders" in airflow.xcoms("connection", run_id, "dbt")
    assert {write.user for write in airflow.audit("connection", run_id)} == {"user"}
    assert secret not in log
    assert secret not in json.dumps(airflow.ti("connection", run_id, "dbt"))
