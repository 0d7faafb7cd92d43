"""The asset events of an operator whose manifest is not what it should be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.nodes import document, node

from provider import own_environ, printed

if TYPE_CHECKING:
    from pathlib import Path

MODEL, TEST = "model.p.orders", "test.p.unique_orders"
KNOWN = {"unique_id": MODEL, "rows": 7, "seconds": 1.5, "invocation_id": "i"}
SCRIPT = """
import json, logging, sys
from types import SimpleNamespace
from airflow.sdk.execution_time.context import OutletEventAccessors
from dbt_relay.provider.assets import add_events, alias_of
from dbt_relay.records.schema import NodeRecord

def record(unique_id, status, **more):
    return NodeRecord(
        unique_id=unique_id, resource_type=unique_id.split(".")[0], status=status,
        outcome="success", invocation_id="i", **more,
    )

ran = [
    record("model.p.orders", "success", relation='"db"."main"."orders"', execution_time=1.5,
           adapter_response={"rows_affected": 7}),
    record("test.p.unique_orders", "pass"),
]
refused = record("model.p.long", "success", relation="x" * 2000)

class Log(logging.Handler):
    def emit(self, record):
        self.said.append(record.getMessage())

def events(manifest, records):
    Log.said = []
    log = logging.Logger("task")
    log.addHandler(Log())
    alias, outlet_events = alias_of(True), OutletEventAccessors()
    context = {"task": SimpleNamespace(log=log), "outlet_events": outlet_events}
    add_events(context, alias, {r.unique_id: r for r in records}, manifest)
    added = outlet_events[alias].asset_alias_events
    return {"events": {e.dest_asset_key.name: e.extra for e in added}, "said": Log.said}

found = {name: events(path, ran) for name, path in json.loads(sys.argv[1]).items()}
found["refused"] = events(json.loads(sys.argv[1])["missing"], [refused, *ran])
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder: Path = tmp_path_factory.mktemp("manifests")
    of_this_run = json.dumps(document(node(MODEL), node(TEST, MODEL)))
    texts = {
        "of this run": of_this_run,
        "half-written": of_this_run[: len(of_this_run) // 2],
        "empty": "",
        "of another run": json.dumps(document(node(MODEL))),
        "of an old dbt": of_this_run.replace("/v12.json", "/v7.json"),
        "another file": "[]",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "folder").mkdir()
    paths = {name: str(folder / name) for name in (*texts, "missing", "folder")}
    return printed(["-c", SCRIPT, json.dumps(paths)], own_environ(folder))


def test_the_manifest_of_the_run_tells_the_tests_of_a_relation(found: dict[str, Any]) -> None:
    assert found["of this run"] == {"events": {"db.main.orders": {**KNOWN, "tests": 1}}, "said": []}


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "there is no manifest at "),
        ("folder", "cannot be read"),
        ("half-written", "is not JSON"),
        ("empty", "is not JSON"),
        ("of another run", f"is of another run: it has no {TEST}"),
        ("of an old dbt", "is a manifest v7"),
        ("another file", "is not an artifact of dbt"),
    ],
)
def test_without_that_manifest_an_event_has_what_dbt_told(
    found: dict[str, Any], kind: str, words: str
) -> None:
    assert found[kind]["events"] == {"db.main.orders": KNOWN}
    (said,) = found[kind]["said"]
    assert words in said
    assert "give the path as `manifest`" in said


def test_an_event_that_airflow_refuses_leaves_the_others(found: dict[str, Any]) -> None:
    assert found["refused"]["events"].keys() == {"db.main.orders"}
    assert "there is no asset event for xxx" in found["refused"]["said"][-1]
