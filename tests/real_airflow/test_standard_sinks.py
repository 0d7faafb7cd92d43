"""A task of a real Airflow that also sends OpenLineage's events and spans, and calls a command."""

from __future__ import annotations

import json
import shlex
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from openlineage.client.uuid import generate_static_uuid
from support.collectors import Collected, collecting
from support.openlineage import check_runs, ends

if TYPE_CHECKING:
    from .airflow import Airflow

LOGICAL_DATE = "2026-01-02T03:04:05+00:00"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
NODES = {"seed.jaffle.raw_orders", "model.jaffle.stg_orders"}
SINKS = ("airflow", "openlineage", "otlp")


class Sent(NamedTuple):
    """A run of the task: what came where. `told` is what the command of `--on-end` read."""

    run_id: str
    collected: Collected
    told: dict[str, Any]


@pytest.fixture(scope="module")
def sent(airflow: Airflow, tmp_path_factory: pytest.TempPathFactory) -> Sent:
    told = tmp_path_factory.mktemp("told") / "run.json"
    with collecting() as collected:
        variables = {**collected.variables, "TRACEPARENT": f"00-{TRACE}-{SPAN}-01"}
        words = ["env", *(f"{name}={value}" for name, value in variables.items())]
        words += ["dbt-relay", "run", "--on-end", f"cat > {told}"]
        words += [word for sink in SINKS for word in ("--sink", sink)]
        words += ["--", "dbt", "build", "--select", "raw_orders", "stg_orders"]
        words += ["--exclude-resource-type", "test"]
        run_id = airflow.trigger(
            "command", {"command": shlex.join(words)}, logical_date=LOGICAL_DATE
        )
        assert airflow.wait("command", run_id) == "success", airflow.report()
    return Sent(run_id, collected, json.loads(told.read_text()))


def test_each_sink_gets_each_node(airflow: Airflow, sent: Sent) -> None:
    records = airflow.xcoms("command", sent.run_id, "dbt")
    run = records.pop("dbt_relay_run")
    assert records.keys() == NODES
    assert {sink: counts["delivered"] for sink, counts in run["delivery"].items()} == {
        sink: len(NODES) for sink in SINKS
    }
    assert ends(sent.collected.events).keys() > NODES
    assert {s.name for s in sent.collected.spans} == {
        "dbt build",
        "seed raw_orders",
        "model stg_orders",
    }


def test_the_parent_of_the_lineage_is_the_task_as_airflows_provider_names_it(sent: Sent) -> None:
    check_runs(sent.collected.events)
    name = "default.command.dbt.1.-1"
    task = str(generate_static_uuid(datetime.fromisoformat(LOGICAL_DATE), name.encode()))
    found = ends(sent.collected.events)
    dbt = found.pop("dbt-run-jaffle")
    parent = dbt["run"]["facets"]["parent"]
    assert (parent["job"]["namespace"], parent["job"]["name"]) == ("default", "command.dbt")
    assert parent["run"]["runId"] == task
    for event in found.values():
        parent = event["run"]["facets"]["parent"]
        assert parent["run"]["runId"] == dbt["run"]["runId"]
        assert parent["root"]["run"]["runId"] == task


def test_the_spans_continue_the_trace_of_the_caller(sent: Sent) -> None:
    spans = {span.name: span for span in sent.collected.spans}
    assert {span.trace_id.hex() for span in spans.values()} == {TRACE}
    root = spans.pop("dbt build")
    assert root.parent_span_id.hex() == SPAN
    assert {span.parent_span_id for span in spans.values()} == {root.span_id}


def test_the_command_at_the_end_reads_the_run(sent: Sent) -> None:
    assert sent.told["task"] == {
        "dag_id": "command",
        "run_id": sent.run_id,
        "task_id": "dbt",
        "map_index": -1,
    }
    assert sent.told["record"]["exit_code"] == 0
    assert {node["unique_id"] for node in sent.told["nodes"]} == NODES
    assert {sink: counts["delivered"] for sink, counts in sent.told["delivery"].items()} == {
        sink: len(NODES) for sink in SINKS
    }
