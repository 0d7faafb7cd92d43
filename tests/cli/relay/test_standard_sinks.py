"""The sinks openlineage and otlp: how they are chosen, and kept for `deliver`."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from support.environment import forget_settings
from support.journals import begin

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
)
from dbt_relay.sinks.openlineage.sink import OpenLineageSink
from dbt_relay.sinks.otlp.sink import OtlpSink

URL = {"OPENLINEAGE_URL": "http://127.0.0.1:9"}
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    forget_settings(monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def chosen(environ: dict[str, str], *sinks: str, place: Place | None = None) -> Destination:
    access = AirflowAccess(place or Place(), Connection())
    settings = RelaySettings(sinks, access, Sending(), Keeping())
    return Destination.choose(settings, environ)


def project(folder: Path, profile: str = "{type: postgres, host: db, port: 5432}") -> None:
    (folder / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    outputs = f"shop: {{target: dev, outputs: {{dev: {profile}}}}}"
    (folder / "profiles.yml").write_text(outputs)


def info(destination: Destination, folder: Path, *words: str) -> dict[str, Any]:
    """What the journal keeps of the sinks, by their names."""
    run = destination.run_info(("dbt", *words), "2026-01-02T03:04:05Z", folder / "target", folder)
    return json.loads(json.dumps({name: dict(address) for name, address in run.sinks.items()}))


def test_both_beside_another_sink() -> None:
    destination = chosen(URL, "openlineage", "otlp", "jsonl:records.jsonl", "otlp")
    names = [sink.name for sink in destination.sinks]
    assert names == ["openlineage", "otlp", "jsonl:records.jsonl"]
    assert destination.asks_for_versions
    destination.close()
    other = chosen({}, "jsonl:records.jsonl")
    assert not other.asks_for_versions
    other.close()


@pytest.mark.parametrize("sink", ["openlineage:x", "otlp:http://a", "lineage"])
def test_the_name_stands_alone(sink: str) -> None:
    with pytest.raises(ConfigurationError, match="there is no sink"):
        chosen(URL, sink)


@pytest.mark.parametrize(
    ("sink", "module"),
    [
        ("openlineage", "openlineage.client"),
        ("otlp", "opentelemetry.sdk.trace"),
        ("otlp", "opentelemetry.exporter.otlp.proto.http"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, sink: str, module: str
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "dbt_relay.cli.relay.standard_sinks.find_spec",
        lambda name: None if name == module else find(name),
    )
    with pytest.raises(ConfigurationError) as error:
        chosen(URL, sink)
    assert f"pip install 'dbt-relay[{sink}]'" in error.value.message


@pytest.mark.parametrize(
    "environ",
    [
        URL,
        {"OPENLINEAGE_CONFIG": "lineage.yml"},
        {"OPENLINEAGE__TRANSPORT": "{}"},
        {"OPENLINEAGE__TRANSPORT__TYPE": "file"},
    ],
)
def test_a_transport_of_the_client(environ: dict[str, str]) -> None:
    assert [type(s) for s in chosen(environ, "openlineage").sinks] == [OpenLineageSink]


@pytest.mark.parametrize("folder", [".", ".openlineage"])
def test_a_file_with_a_transport(alone: Path, folder: str) -> None:
    with pytest.raises(ConfigurationError, match="set OPENLINEAGE_URL"):
        chosen({}, "openlineage")
    (alone / folder).mkdir(exist_ok=True)
    (alone / folder / "openlineage.yml").write_text("transport: {type: file}")
    assert chosen({}, "openlineage").sinks


@pytest.mark.parametrize(
    ("sink", "environ"),
    [
        ("openlineage", {**URL, "OPENLINEAGE_DISABLED": "true"}),
        ("otlp", {"OTEL_SDK_DISABLED": "true"}),
    ],
)
def test_what_its_own_variable_switches_off_is_off(sink: str, environ: dict[str, str]) -> None:
    destination = chosen(environ, sink)
    assert destination.sinks == []
    (remark,) = destination.remarks
    assert "is set, so nothing is sent to" in remark


@pytest.mark.parametrize(
    "environ",
    [
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        {
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        },
    ],
)
def test_another_protocol_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="speaks http/protobuf"):
        chosen(environ, "otlp")
    traces = {**environ, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}
    assert chosen(traces, "otlp").sinks


def test_a_parent_that_is_none_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="OPENLINEAGE_PARENT_ID"):
        chosen({**URL, "OPENLINEAGE_PARENT_ID": "x"}, "openlineage")


def test_the_journal_keeps_what_names_everything_alike(alone: Path) -> None:
    project(alone)
    place = Place("shop", "scheduled__1", "dbt", -1, 1)
    environ = {
        **URL,
        "OPENLINEAGE_API_KEY": "hunter2",
        "AIRFLOW_CTX_LOGICAL_DATE": "2026-01-02T03:04:05+00:00",
        "TRACEPARENT": TRACEPARENT,
    }
    kept = info(chosen(environ, "openlineage", "otlp", place=place), alone, "build", "-s", "a")
    assert "hunter2" not in json.dumps(kept)
    task = {
        "namespace": "default",
        "job": "shop.dbt",
        "run_id": "019b7ca9-8c88-7371-985c-81b146be5f15",
    }
    assert kept == {
        "openlineage": {
            "namespace": "dbt",
            "job": "dbt-run-shop",
            "datasets": "postgres://db:5432",
            "adapter": "postgres",
            "project": "shop",
            "caller": {"run": task, "root": task},
        },
        "otlp": {"traceparent": TRACEPARENT, "span": "dbt build"},
    }
    run = begin(None, "openlineage", "otlp")
    for name, kind in {"openlineage": OpenLineageSink, "otlp": OtlpSink}.items():
        # Today's variables name another parent: the run's own stays.
        today = {**URL, "OPENLINEAGE_NAMESPACE": "other", "TRACEPARENT": TRACEPARENT[::-1]}
        again = reopen(name, kept[name], Connection(), today, run=run)
        assert (type(again), again.name, again.address) == (kind, name, kept[name])
        again.close()


def test_deliver_needs_the_clients_settings_of_today() -> None:
    run = begin(None, "openlineage")
    address = {
        "namespace": "dbt", "job": "j", "datasets": None, "adapter": None, "project": None,
        "caller": None,
    }  # fmt: skip
    with pytest.raises(ConfigurationError, match="set OPENLINEAGE_URL"):
        reopen("openlineage", address, Connection(), {}, run=run)
    disabled = {**URL, "OPENLINEAGE_DISABLED": "true"}
    with pytest.raises(ConfigurationError, match="OPENLINEAGE_DISABLED"):
        reopen("openlineage", address, Connection(), disabled, run=run)


def test_a_warehouse_that_only_dbt_knows_is_said_at_the_start(
    alone: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    project(alone, "{type: postgres, host: \"{{ var('x') }}\", port: 1}")
    kept = info(chosen(URL, "openlineage"), alone, "build")["openlineage"]
    assert (kept["datasets"], kept["adapter"], kept["job"]) == (None, "postgres", "dbt-run-shop")
    said = capfd.readouterr().err
    assert "the events for OpenLineage name no tables: the profile does not say its host" in said


def test_the_users_own_name_of_the_job() -> None:
    named = {**URL, "OPENLINEAGE_DBT_JOB_NAME": "nightly", "OPENLINEAGE_NAMESPACE": "prod"}
    kept = info(chosen(named, "openlineage"), Path.cwd(), "build")["openlineage"]
    assert (kept["namespace"], kept["job"]) == ("prod", "nightly")


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("--no-use-colors", "run"), "dbt run"),
        (("source", "freshness"), "dbt source"),
        (("--version",), "dbt"),
    ],
)
def test_the_span_of_a_run_has_the_name_of_its_command(words: tuple[str, ...], name: str) -> None:
    assert info(chosen({}, "otlp"), Path.cwd(), *words)["otlp"]["span"] == name
