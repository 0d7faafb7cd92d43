"""Airflow's address, and what an import of the sink costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dbt_relay.records import TaskInstance
from dbt_relay.records.schema import RunRecord
from dbt_relay.sinks import Hold
from dbt_relay.sinks.airflow import AirflowSettings, Login, base_url, is_same_address
from dbt_relay.sinks.airflow.sink import AirflowSink


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("https://airflow.example.com", "https://airflow.example.com"),
        ("https://airflow.example.com/", "https://airflow.example.com"),
        (" http://localhost:8080// \n", "http://localhost:8080"),
        ("http://localhost:8080/home", "http://localhost:8080"),
        ("http://localhost:8080/api/v2", "http://localhost:8080"),
        ("http://localhost:8080/api/v2/", "http://localhost:8080"),
        ("http://localhost:8080/api/v1", "http://localhost:8080"),
        ("http://localhost:8080/api", "http://localhost:8080"),
        ("https://astro.example.com/team/prod/", "https://astro.example.com/team/prod"),
        ("https://astro.example.com/team/prod/api/v2", "https://astro.example.com/team/prod"),
        ("https://astro.example.com/apiary", "https://astro.example.com/apiary"),
        ("HTTPS://Airflow.example.com", "HTTPS://Airflow.example.com"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
    ],
)
def test_any_form_of_the_address(address: str, url: str) -> None:
    assert base_url(address) == url
    assert base_url(url) == url


@pytest.mark.parametrize(
    "address",
    [
        "",
        "airflow.example.com",
        "localhost:8080",
        "ftp://airflow.example.com",
        "http://",
        "https:///home",
        "http://a b",
        "http://airflow:http",
        "http://airflow/?next=/home",
        "http://airflow/#home",
    ],
)
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ValueError, match="is not an address of Airflow: it must look like"):
        base_url(address)


@pytest.mark.parametrize(
    "address", ["https://u:hunter2@airflow/", "https://hunter2@airflow", "http://a/?t=hunter2"]
)
def test_a_secret_in_an_address_is_not_shown(address: str) -> None:
    with pytest.raises(ValueError, match="address") as error:
        base_url(address)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    "other",
    [
        "https://airflow.example.com",
        "HTTPS://AIRFLOW.Example.com/",
        "https://airflow.example.com:443/api/v2/",
        "https://airflow.example.com./home",
    ],
)
def test_an_address_is_the_same_however_it_is_written(other: str) -> None:
    assert is_same_address("https://airflow.example.com", other)
    assert is_same_address("http://[::1]/", "http://[0:0:0:0:0:0:0:1]:80/api")


@pytest.mark.parametrize(
    "other",
    [
        "http://airflow.example.com",
        "https://airflow.example.com:8443",
        "https://airflow.example.org",
        "https://airflow.example.com.evil.org",
        "https://airflow.example.com/team",
        "https://airflow.example.com/Prod",
    ],
)
def test_and_another_if_anything_of_it_is(other: str) -> None:
    assert not is_same_address("https://airflow.example.com", other)
    assert not is_same_address("https://airflow.example.com/prod", other)


def test_the_heavy_client_is_not_imported_with_the_sink() -> None:
    code = "import dbt_relay.sinks.airflow, sys; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True
    )
    imported = {name.partition(".")[0] for name in done.stdout.split()}
    assert "dbt_relay" in imported
    assert not imported & {"airflow_client", "urllib3", "pydantic", "dateutil"}


def test_a_client_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where dbt and its dependencies share the environment."""
    monkeypatch.setitem(sys.modules, "dbt_relay.sinks.airflow.api.client", None)
    to = AirflowSettings("http://localhost", TaskInstance("d", "r", "t"), Login(token="t"))
    sink = AirflowSink(to)
    verdict = sink.send(RunRecord(state="running"))
    assert isinstance(verdict, Hold)
    assert verdict.reason.startswith("apache-airflow-client cannot be imported (")
    assert "reinstall dbt-relay" in verdict.reason
