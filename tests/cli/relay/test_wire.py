"""`--wire`: what excludes it, that it is kept for `deliver`, and what the relay adds for it."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from support.logs import line, log

from dbt_relay.cli.output.console import Console
from dbt_relay.cli.relay.destination import Destination
from dbt_relay.cli.relay.pipeline import Pipeline
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
from dbt_relay.parser import Secrets

if TYPE_CHECKING:
    from pathlib import Path

    from dbt_relay.records.schema import NodeRecord

ENVIRON = {"DBT_RELAY_AIRFLOW_TOKEN": "t"}
TESTED = "1.11.16/build_fail_debug"


def chosen(**form: Any) -> Destination:
    access = AirflowAccess(Place("d", "r", "t"), Connection("http://a"), XComForm(**form))
    return Destination.choose(RelaySettings(("airflow",), access, Sending(), Keeping()), ENVIRON)


@pytest.mark.parametrize(
    ("option", "other"),
    [("--key-prefix", {"key_prefix": "p."}), ("--xcom-task-id", {"task_id": "results"})],
)
def test_cosmos_reads_fixed_keys_of_one_task(option: str, other: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError) as error:
        chosen(wire="cosmos", **other)
    assert error.value.exit_code == 78
    assert f"--wire cosmos and {option} exclude each other" in error.value.message
    chosen(**other)


def test_deliver_writes_the_form_that_was_chosen() -> None:
    today = Connection()
    for wire in ("relay", "cosmos"):
        (sink,) = chosen(wire=wire).sinks
        assert sink.address["wire"] == wire
        kept = json.loads(json.dumps(sink.address))
        assert reopen("airflow", kept, today, ENVIRON).address == sink.address
    del kept["wire"]  # of a journal from before there was a choice
    assert reopen("airflow", kept, today, ENVIRON).address["wire"] == "relay"


def records(target: Path, text: bytes, *, with_tests: bool) -> list[NodeRecord]:
    found: list[NodeRecord] = []
    relay = Pipeline(
        Console(io.BytesIO()),
        found.append,
        secrets=Secrets(),
        target_dir=target,
        with_tests=with_tests,
    )
    relay.feed(text)
    relay.end(None)
    assert relay.faults == 0
    return found


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
    found = {r.unique_id: r.tests for r in records(target, LOG, with_tests=True)}
    assert found == {
        "model.a.m": None,
        "test.a.one": {"model.a.m": 2},
        "test.a.two": {"model.a.m": 2, "model.a.n": 1},
        "unit_test.a.m.u": None,
    }
    assert {r.tests for r in records(target, LOG, with_tests=False)} == {None}


def test_a_manifest_that_is_not_there_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = records(tmp_path, LOG, with_tests=True)
    assert {r.tests for r in found} == {None}
    assert capsys.readouterr().err.count("manifest.json of this run is not there") == 1


def test_the_adapter_of_a_run() -> None:
    relay = Pipeline(
        Console(io.BytesIO()),
        lambda _: None,
        secrets=Secrets(),
        target_dir=None,  # type: ignore[arg-type]
    )
    assert relay.run.adapter is None
    relay.feed(log(TESTED))
    assert relay.run.adapter == "duckdb=1.11.1"
