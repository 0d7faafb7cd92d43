"""What an import of the package brings along."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from dbt_relay.cli.commands import OUTLINES, load

if TYPE_CHECKING:
    from pathlib import Path

LAYERS = ("records", "parser", "consumer", "sinks", "cli", "provider")


def test_no_bare_folder_name_is_importable() -> None:
    code = f"import importlib.util as u; print([n for n in {LAYERS} if u.find_spec(n)])"
    command = [sys.executable, "-I", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd="/")
    assert done.stdout.strip() == "[]"


def modules_after(code: str) -> set[str]:
    """What a fresh Python has imported when it has run this code."""
    code += "; import sys; print(*sys.modules, file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, cwd="/"
    )
    return set(done.stderr.split())


def heavy(modules: set[str], *names: str) -> set[str]:
    """Those modules that have one of these names, or lie in a package of that name."""
    return {m for m in modules for name in names if m == name or m.startswith(f"{name}.")}


CLIENTS = (
    *("airflow_client", "pydantic", "urllib3", "dbt", "google"),
    *("openlineage", "opentelemetry", "requests", "yaml"),
)


def test_importing_the_commands_is_cheap() -> None:
    """No Airflow client, no dbt, no HTTP before a sink needs them."""
    loaded = modules_after(
        "from dbt_relay.cli.commands import OUTLINES, load; [*map(load, OUTLINES)]"
    )
    assert all(heavy(loaded, load(name).callback.__module__) for name in OUTLINES)
    assert not heavy(loaded, *CLIENTS)


def test_the_help_imports_no_command() -> None:
    code = "from dbt_relay.cli.main import cli; cli.main(['--help'], standalone_mode=False)"
    loaded = modules_after(code) - modules_after("import click")  # has subprocess on Python 3.10
    assert heavy(loaded, "dbt_relay.cli.main")
    assert not heavy(loaded, *CLIENTS, "sqlite3", "subprocess", "dataclasses", "orjson")
    assert not heavy(loaded, "dbt_relay.parser", "dbt_relay.sinks", "dbt_relay.consumer")
    commands = {f"dbt_relay.cli.{name}" for name in OUTLINES}
    assert not heavy(loaded, *commands, "dbt_relay.cli.process", "dbt_relay.cli.dbt")


def test_a_run_without_airflow_imports_nothing_that_speaks_to_it() -> None:
    loaded = modules_after("from dbt_relay.cli.commands import load; load('run')")
    ours = {name.removeprefix("dbt_relay.") for name in loaded}
    assert "sinks.airflow.api.settings" in ours
    assert not heavy(ours, "sinks.airflow.sink", "sinks.airflow.api.answers")
    assert not heavy(ours, "consumer.graph", "consumer.waiting")
    assert not heavy(ours, "cli.output.panel", "cli.output.screen")
    assert not heavy(ours, "sinks.ledger", "consumer.history", "cli.history")
    assert not heavy(ours, "cli.relay.standard_sinks", "sinks.openlineage", "sinks.otlp")
    assert not heavy(ours, "cli.doctor", "cli.wait", "cli.resume.resumption")


def test_a_standard_sink_loads_its_client_when_it_sends(tmp_path: Path) -> None:
    """dbt starts before: the clients' packages take a third of a second each to import."""
    code = f"""
import os
os.chdir({str(tmp_path)!r})
os.environ["OPENLINEAGE_URL"] = "http://127.0.0.1:9"
from dbt_relay.cli.relay.destination import Destination
from dbt_relay.cli.settings import *
settings = RelaySettings(("openlineage", "otlp"), AirflowAccess(Place(), Connection()),
                         Sending(), Keeping())
chosen = Destination.choose(settings, os.environ)
chosen.run_info(("dbt", "build"), "2026-01-02T03:04:05Z")
print(len(chosen.sinks))
"""
    loaded = modules_after(code.strip())
    assert heavy(loaded, "dbt_relay.sinks.openlineage.sink", "dbt_relay.sinks.otlp.sink")
    assert not heavy(loaded, "openlineage.client", "requests", "opentelemetry.sdk.trace")
    assert not heavy(loaded, "opentelemetry.exporter.otlp.proto.http.trace_exporter")
