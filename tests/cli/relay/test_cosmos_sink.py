"""The sink cosmos: how it is chosen, kept for `deliver`, and what the relay adds for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner
from support.logs import line, log
from support.pipelines import pipeline, published

from dbt_relay.cli.options import relay_options
from dbt_relay.cli.relay.destination import Destination
from dbt_relay.cli.relay.reopening import reopen
from dbt_relay.cli.settings import (
    AirflowAccess,
    ConfigurationError,
    Connection,
    Keeping,
    Place,
    RelaySettings,
    Sending,
    XComForm,
)
from dbt_relay.records.schema import NodeRecord
from dbt_relay.sinks.airflow.cosmos import CosmosSink
from dbt_relay.sinks.airflow.sink import AirflowSink

if TYPE_CHECKING:
    from pathlib import Path

ENVIRON = {"DBT_RELAY_AIRFLOW_TOKEN": "t"}
TESTED = "1.11.16/build_fail_debug"


def chosen(*sinks: str, default: str = "airflow", **form: Any) -> Destination:
    access = AirflowAccess(Place("d", "r", "t"), Connection("http://a"), XComForm(**form))
    settings = RelaySettings(sinks, access, Sending(), Keeping(), default_sink=default)
    return Destination.choose(settings, ENVIRON)


def typed(*words: str) -> RelaySettings:
    """The settings that a command line becomes."""
    found: list[RelaySettings] = []

    @click.command()
    @relay_options
    def command(settings: RelaySettings) -> None:
        found.append(settings)

    done = CliRunner().invoke(command, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return found[0]


@pytest.mark.parametrize(
    ("words", "sinks", "default"),
    [
        ((), (), "airflow"),
        (("--sink=cosmos",), ("cosmos",), "airflow"),
        (("--wire=cosmos",), (), "cosmos"),
        (("--wire=cosmos", "--sink=jsonl:-", "--sink=airflow"), ("jsonl:-", "cosmos"), "cosmos"),
        (("--wire=relay", "--sink=cosmos"), ("cosmos",), "airflow"),
    ],
)
def test_wire_cosmos_stands_for_the_sink_cosmos(
    words: tuple[str, ...], sinks: tuple[str, ...], default: str
) -> None:
    settings = typed(*words)
    assert (settings.sinks, settings.default_sink) == (sinks, default)


def test_a_task_without_a_sink_sends_to_the_default_one() -> None:
    assert [type(sink) for sink in chosen().sinks] == [AirflowSink]
    assert [type(sink) for sink in chosen(default="cosmos").sinks] == [CosmosSink]
    both = chosen("airflow", "cosmos")
    assert [sink.name for sink in both.sinks] == ["airflow", "cosmos"]
    assert both.cosmos is both.sinks[1]


@pytest.mark.parametrize(
    ("option", "other"),
    [("--key-prefix", {"key_prefix": "p."}), ("--xcom-task-id", {"task_id": "results"})],
)
def test_cosmos_reads_fixed_keys_of_one_task(option: str, other: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError) as error:
        chosen("cosmos", **other)
    assert error.value.exit_code == 78
    assert f"--sink cosmos and {option} exclude each other" in error.value.message
    chosen("airflow", **other)


@pytest.mark.parametrize(("name", "wire"), [("airflow", "relay"), ("cosmos", "cosmos")])
def test_deliver_opens_the_sink_that_was_chosen(name: str, wire: str) -> None:
    (sink,) = chosen(name).sinks
    kept = json.loads(json.dumps(sink.address))
    assert kept["wire"] == wire
    again = reopen(name, kept, Connection(), ENVIRON)
    assert (type(again), again.name, again.address) == (type(sink), name, kept)


OLD_ADDRESS = {
    "url": "http://a", "dag_id": "d", "run_id": "r", "task_id": "t", "xcom_task_id": None,
    "map_index": -1, "key_prefix": "", "max_message_bytes": 16_384, "wire": "cosmos",
    "renews": False, "ca_file": None,
}  # fmt: skip


def test_deliver_opens_the_sinks_of_an_older_journal() -> None:
    """Its sink for Cosmos is called airflow, and the first versions had no other form."""
    sink = reopen("airflow", OLD_ADDRESS, Connection(), ENVIRON)
    assert isinstance(sink, CosmosSink)
    assert (sink.name, sink.address) == ("airflow", OLD_ADDRESS)
    plain = {name: value for name, value in OLD_ADDRESS.items() if name != "wire"}
    assert isinstance(reopen("airflow", plain, Connection(), ENVIRON), AirflowSink)


def records(target: Path, text: bytes, *, for_cosmos: bool) -> list[NodeRecord]:
    complete = chosen("cosmos" if for_cosmos else "airflow").complete(target)
    return published(text, target, complete=complete)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """The manifest of a log that names no place where dbt wrote it."""
    parents = {
        "test.a.one": ["model.a.m"],
        "test.a.two": ["model.a.m", "model.a.n"],
        "unit_test.a.m.u": ["model.a.m"],
        "model.a.n": ["model.a.m"],
    }
    manifest = {"metadata": {"invocation_id": "i-1"}, "parent_map": parents, "child_map": {}}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    return tmp_path


def ended(unique_id: str) -> bytes:
    kind = unique_id.partition(".")[0]
    node = {"unique_id": unique_id, "resource_type": kind, "node_status": "pass"}
    result = {"status": "pass", "message": None, "execution_time": 0.1}
    started = line("NodeStart", {"node_info": node})
    return started + line("NodeFinished", {"node_info": node, "run_result": result})


LOG = b"".join(
    [
        line("MainReportVersion", {"version": "=1.11.16", "log_version": 3}),
        *(ended(u) for u in ("model.a.m", "test.a.one", "test.a.two", "unit_test.a.m.u")),
    ]
)


def test_the_record_of_a_test_says_what_it_tests(target: Path) -> None:
    found = {r.unique_id: r.to_json().get("tests") for r in records(target, LOG, for_cosmos=True)}
    assert found == {
        "model.a.m": None,
        "test.a.one": {"model.a.m": 2},
        "test.a.two": {"model.a.m": 2, "model.a.n": 1},
        "unit_test.a.m.u": None,
    }
    assert {type(r) for r in records(target, LOG, for_cosmos=False)} == {NodeRecord}


def test_a_manifest_that_is_not_there_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = records(tmp_path, LOG, for_cosmos=True)
    assert {type(r) for r in found} == {NodeRecord}
    assert capsys.readouterr().err.count("manifest.json of this run is missing") == 1


def test_the_adapter_of_a_run() -> None:
    relay = pipeline()
    assert relay.run.adapter is None
    relay.feed(log(TESTED))
    assert relay.run.adapter == "duckdb=1.11.1"
