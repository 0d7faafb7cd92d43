"""The sink for OpenLineage: its events, when it sends them, and what becomes of refusals."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.collectors import Collected, collecting
from support.environment import forget_settings
from support.openlineage import check_runs, ends, kinds
from support.records import node

from dbt_relay.records.schema import NodeRecord, RunRecord
from dbt_relay.sinks import Delivered, Hold, Rejected, Retry
from dbt_relay.sinks.openlineage.runs import Caller, NamedRun
from dbt_relay.sinks.openlineage.setting import Setting
from dbt_relay.sinks.openlineage.sink import OpenLineageSink

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dbt_relay.records.schema import Record
    from dbt_relay.records.values import JsonObject

INVOCATION = "01890000-0000-7000-8000-000000000001"
STARTED = "2026-01-02T03:04:05.000006Z"
ENDED = "2026-01-02T03:05:05Z"
SETTING = Setting("dbt", "dbt-run-shop", "postgres://db:5432", "postgres", "shop")
NODES: dict[str, JsonObject] = {
    "model.shop.orders": {
        "database": "shop", "schema": "main", "name": "orders", "alias": "orders_v2",
        "package_name": "shop", "original_file_path": "models/orders.sql", "tags": ["daily"],
        "description": "One row an order.",
        "columns": {
            "id": {"name": "id", "data_type": "integer", "description": "The key."},
            "at": {"name": "at"},
        },
        "depends_on": {"nodes": ["model.shop.middle", "source.shop.raw.orders", "macro.dbt.x"]},
        "config": {"materialized": "table"},
    },
    "model.shop.middle": {
        "database": "shop", "schema": "main", "name": "middle", "alias": "middle",
        "depends_on": {"nodes": ["seed.shop.codes", "model.shop.middle"]},
        "config": {"materialized": "ephemeral"},
    },
    "seed.shop.codes": {"database": "shop", "schema": "main", "name": "codes", "alias": "codes"},
    "source.shop.raw.orders": {
        "database": "lake", "schema": "raw", "name": "orders", "identifier": "ORDERS",
    },
    "test.shop.unique_orders_id.1": {
        "name": "unique_orders_id", "attached_node": "model.shop.orders",
        "depends_on": {"nodes": ["seed.shop.codes", "model.shop.orders"]},
        "test_metadata": {"name": "unique", "kwargs": {"column_name": "id"}},
        "config": {"severity": "WARN", "warn_if": "> 10"},
    },
    "test.shop.no_lost_orders": {
        "name": "no_lost_orders", "config": {"severity": "ERROR"},
        "depends_on": {"nodes": ["seed.shop.codes", "model.shop.orders"]},
    },
}  # fmt: skip


class Files:
    """dbt's files, with the nodes of one invocation."""

    def __init__(self, nodes: dict[str, JsonObject] | None = None) -> None:
        self.nodes = NODES if nodes is None else nodes
        self.tables: dict[str, JsonObject] = {}

    def node(self, invocation_id: str | None, unique_id: str) -> JsonObject | None:
        return self.nodes.get(unique_id) if invocation_id == INVOCATION else None

    def catalog(self, unique_id: str) -> JsonObject | None:
        return self.tables.get(unique_id)

    def sql(self, record: NodeRecord, node: JsonObject) -> str | None:
        return f"select '{record.unique_id}'" if node else None


def ran(unique_id: str, status: str = "success", **more: Any) -> NodeRecord:
    known: dict[str, Any] = {
        "resource_type": unique_id.partition(".")[0],
        "name": unique_id.split(".")[2],
        "started_at": "2026-01-02T03:04:06Z",
        "finished_at": "2026-01-02T03:04:07.5Z",
        "invocation_id": INVOCATION,
        "dbt_version": "1.11.16",
    }
    return node(unique_id, status, **{**known, **more})


def run_record(state: Any = "finished", **more: Any) -> RunRecord:
    known = {"started_at": STARTED, "invocation_id": INVOCATION, "dbt_version": "1.11.16"}
    if state != "running":
        known["finished_at"] = ENDED
    return RunRecord(state=state, **{**known, **more})


def opened(
    setting: Setting = SETTING, files: Files | None = None, records: list[Record] | None = None
) -> OpenLineageSink:
    sink = OpenLineageSink(setting)
    sink.use_run(STARTED, files or Files(), lambda: records or [])
    return sink


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collected]:
    forget_settings(monkeypatch)
    with collecting() as collected:
        monkeypatch.setenv("OPENLINEAGE_URL", collected.url)
        yield collected


def sent(server: Collected, *records: Record, setting: Setting = SETTING) -> dict[str, Any]:
    """The ends of all runs, by the name of the job."""
    sink = opened(setting)
    for record in records:
        assert sink.send(record) == Delivered()
    sink.close()
    return ends(server.events)


def test_a_run_has_a_start_and_an_end_around_its_nodes(server: Collected) -> None:
    records = [
        run_record("running", invocation_id=None),
        run_record("running"),
        ran("model.shop.orders"),
        ran("seed.shop.codes", "error", message="Database Error"),
        ran("model.shop.late", "skipped", started_at=None, finished_at=None),
        run_record(exit_code=1, nodes={"success": 1, "failure": 1}),
        run_record(exit_code=1, sequence=2, delivery={}),
    ]
    found = sent(server, *records)
    check_runs(server.events)
    assert kinds(server.events) == {"START": 3, "COMPLETE": 1, "FAIL": 2}
    first, last = server.events[0], server.events[-1]
    for event in (first, last):
        assert event["run"]["runId"] == INVOCATION
        assert event["job"]["name"] == "dbt-run-shop"
        assert "parent" not in event["run"]["facets"]
    assert (first["eventTime"], last["eventTime"]) == (STARTED, ENDED)
    message = last["run"]["facets"]["errorMessage"]["message"]
    assert message == "dbt ended with exit code 1"
    parent = found["model.shop.orders"]["run"]["facets"]["parent"]
    assert parent["run"]["runId"] == parent["root"]["run"]["runId"] == INVOCATION
    error = found["seed.shop.codes"]["run"]["facets"]["errorMessage"]
    assert error["message"] == "Database Error"


def test_the_tables_of_a_model(server: Collected) -> None:
    response = {"rows_affected": 7, "bytes_processed": 99, "query_id": "q1"}
    event = sent(server, ran("model.shop.orders", adapter_response=response))["model.shop.orders"]
    check_runs(server.events[1:])
    tables = [(t["namespace"], t["name"]) for t in event["inputs"]]
    assert tables == [
        ("postgres://db:5432", "lake.raw.ORDERS"),
        ("postgres://db:5432", "shop.main.codes"),  # behind the ephemeral model
    ]
    (output,) = event["outputs"]
    assert output["name"] == "shop.main.orders_v2"
    statistics = output["outputFacets"]["outputStatistics"]
    assert (statistics["rowCount"], statistics["size"]) == (7, 99)
    columns = output["facets"]["schema"]["fields"]
    assert [(c["name"], c.get("type"), c.get("description")) for c in columns] == [
        ("id", "integer", "The key."),
        ("at", None, None),
    ]
    assert output["facets"]["documentation"]["description"] == "One row an order."
    job = event["job"]["facets"]
    assert (job["sql"]["query"], job["sql"]["dialect"]) == (
        "select 'model.shop.orders'",
        "postgres",
    )
    assert (job["jobType"]["jobType"], job["dbt_node"]["alias"]) == ("MODEL", "orders_v2")
    run = event["run"]["facets"]
    assert run["externalQuery"]["externalQueryId"] == "q1"
    assert run["processing_engine"]["version"] == run["dbt_version"]["version"] == "1.11.16"
    assert (run["dbt_run"]["invocation_id"], run["dbt_run"]["project_name"]) == (INVOCATION, "shop")
    assert run["tags"]["tags"][0]["key"] == "daily"
    start = server.events[1]
    assert (start["eventType"], start["eventTime"]) == ("START", "2026-01-02T03:04:06Z")
    assert "outputStatistics" not in start["outputs"][0].get("outputFacets", {})


def test_the_catalog_knows_all_columns(server: Collected) -> None:
    files = Files()
    files.tables["model.shop.orders"] = {"columns": {"id": {"name": "id", "type": "BIGINT"}}}
    sink = opened(files=files)
    assert sink.send(ran("model.shop.orders")) == Delivered()
    fields = server.events[-1]["outputs"][0]["facets"]["schema"]["fields"]
    assert [(f["name"], f["type"], f["description"]) for f in fields] == [
        ("id", "BIGINT", "The key.")
    ]


@pytest.mark.parametrize(
    ("response", "materialized", "rows"),
    [
        ({"rows_affected": 0}, "incremental", 0),
        ({"rows_affected": -1}, "table", None),
        ({"rows_affected": 3}, "view", None),
        ({"rows_affected": "3"}, "table", None),
        (None, "table", None),
    ],
)
def test_rows_are_told_where_the_warehouse_counted_them(
    server: Collected, response: Any, materialized: str, rows: int | None
) -> None:
    record = ran("model.shop.orders", adapter_response=response, materialized=materialized)
    (output,) = sent(server, record)["model.shop.orders"]["outputs"]
    found = output.get("outputFacets", {}).get("outputStatistics", {}).get("rowCount")
    assert found == rows


def test_a_test_is_an_assertion_on_the_table_that_it_tests(server: Collected) -> None:
    found = sent(
        server,
        ran("test.shop.unique_orders_id.1", "warn", failures=12),
        ran("test.shop.no_lost_orders", "fail", failures=2),
    )
    check_runs(server.events[1:])
    (table,) = found["test.shop.unique_orders_id.1"]["inputs"]
    assert table["name"] == "shop.main.orders_v2"
    (assertion,) = table["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert {k: v for k, v in assertion.items() if k != "params"} == {
        "assertion": "unique", "name": "unique_orders_id", "success": False, "column": "id",
        "severity": "warn", "actual": "12", "expected": "> 10",
    }  # fmt: skip
    assert found["test.shop.unique_orders_id.1"]["eventType"] == "COMPLETE"
    singular = found["test.shop.no_lost_orders"]
    assert singular["eventType"] == "FAIL"
    assert [t["name"] for t in singular["inputs"]] == ["shop.main.codes", "shop.main.orders_v2"]
    (assertion,) = singular["inputs"][0]["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert (assertion["assertion"], assertion["actual"], assertion["expected"]) == (
        "no_lost_orders",
        "2",
        "0",
    )
    starts = [e for e in server.events if e["eventType"] == "START" and e["inputs"]]
    assert starts
    assert "dataQualityAssertions" not in json.dumps(starts)


def test_an_interrupted_node_is_aborted(server: Collected) -> None:
    found = sent(server, ran("model.shop.orders", "interrupted"))["model.shop.orders"]
    assert found["eventType"] == "ABORT"
    assert found["run"]["facets"]["errorMessage"]["message"] == "interrupted"


def test_without_a_manifest_the_record_names_its_table(server: Collected) -> None:
    record = ran("model.shop.gone", relation='"shop"."main"."gone"')
    found = sent(server, record)["model.shop.gone"]
    check_runs(server.events[1:])
    assert [t["name"] for t in found["outputs"]] == ["shop.main.gone"]
    assert found["inputs"] == []


def test_without_a_namespace_no_table_is_named(server: Collected) -> None:
    unknown = replace(SETTING, datasets=None, adapter=None)
    found = sent(
        server,
        ran("model.shop.orders", adapter_response={"query_id": "q"}),
        ran("model.shop.gone", relation='"shop"."main"."gone"'),
        setting=unknown,
    )
    check_runs(server.events[1:])
    for event in found.values():
        assert event["inputs"] == event["outputs"] == []


def test_the_caller_is_the_parent_of_the_run_and_its_root_the_root_of_all(
    server: Collected,
) -> None:
    task = NamedRun("default", "shop.dbt", "01890000-0000-7000-8000-0000000000aa")
    dag = NamedRun("default", "shop", "01890000-0000-7000-8000-0000000000bb")
    setting = replace(SETTING, caller=Caller(task, dag))
    sent(server, ran("model.shop.orders"), run_record(exit_code=0), setting=setting)
    check_runs(server.events)
    start, model, *_, end = server.events
    for event in (start, end):
        parent = event["run"]["facets"]["parent"]
        assert parent["run"]["runId"] == task.run_id
        assert (parent["job"]["namespace"], parent["job"]["name"]) == ("default", "shop.dbt")
        assert parent["root"]["run"]["runId"] == dag.run_id
    parent = model["run"]["facets"]["parent"]
    assert (parent["run"]["runId"], parent["root"]["run"]["runId"]) == (INVOCATION, dag.run_id)


def test_a_dbt_that_died_before_its_first_event_is_a_run_too(server: Collected) -> None:
    sent(server, run_record("running", invocation_id=None))
    assert not server.events
    sent(server, run_record("finished", invocation_id=None, dbt_version=None, exit_code=2))
    check_runs(server.events)
    assert kinds(server.events) == {"START": 1, "FAIL": 1}


def test_a_killed_run_is_aborted(server: Collected) -> None:
    sent(server, run_record("died", message="the relay was killed"))
    check_runs(server.events)
    end = server.events[-1]
    assert end["eventType"] == "ABORT"
    assert end["run"]["facets"]["errorMessage"]["message"] == "the relay was killed"


def test_each_invocation_of_a_script_ends(server: Collected) -> None:
    first = "01890000-0000-7000-8000-0000000000cc"
    sent(
        server,
        ran("seed.shop.codes", "error", invocation_id=first),
        ran("model.shop.orders"),
        run_record(exit_code=0),
    )
    check_runs(server.events)
    ended = {e["run"]["runId"]: e["eventType"] for e in server.events if e["eventType"] != "START"}
    assert (ended[first], ended[INVOCATION]) == ("FAIL", "COMPLETE")


def test_a_record_of_an_earlier_attempt_is_sent_again_with_its_own_ids(server: Collected) -> None:
    record = ran("model.shop.orders")
    sent(server, record)
    before = server.events[1:]
    server.events.clear()
    again = replace(record, resumed_from=1, attempt=2)
    assert opened().send(again) == Delivered()
    assert [e["run"]["runId"] for e in server.events] == [e["run"]["runId"] for e in before]
    assert INVOCATION not in {e["run"]["runId"] for e in server.events}


def test_a_manifest_that_comes_at_the_end_is_sent_then(server: Collected) -> None:
    """As dbt v2 writes it."""
    files = Files({})
    model = ran("model.shop.orders", dbt_version="2.0.0", relation='"shop"."main"."orders_v2"')
    skipped = ran("seed.shop.codes", "skipped", dbt_version="2.0.0")
    end = run_record(dbt_version="2.0.0", exit_code=0)
    sink = opened(files=files, records=[model, skipped, end])
    assert sink.send(model) == Delivered()
    assert server.events[-1]["inputs"] == []
    files.nodes = NODES
    server.answers.extend([200, 503])
    assert sink.send(end) == Retry(f"{server.url}/api/v1/lineage answered 503")
    assert sink.send(end) == Delivered()
    again, last = server.events[-2:]
    assert (again["job"]["name"], len(again["inputs"])) == ("model.shop.orders", 2)
    assert again["run"]["runId"] == server.events[1]["run"]["runId"]
    assert last["run"]["runId"] == INVOCATION
    assert len(server.events) == 5


@pytest.mark.parametrize(
    ("status", "headers", "kind"),
    [
        (400, {}, Rejected),
        (422, {}, Rejected),
        (413, {}, Rejected),
        (401, {}, Hold),
        (403, {}, Hold),
        (404, {}, Hold),
        (429, {"Retry-After": "7"}, Retry),
        (500, {}, Retry),
        (503, {"Retry-After": "soon"}, Retry),
    ],
)
def test_what_an_answer_means(
    server: Collected, status: int, headers: dict[str, str], kind: type
) -> None:
    server.answers.append(status)
    server.headers = headers
    verdict = opened().send(ran("model.shop.orders"))
    assert isinstance(verdict, kind)
    assert f"answered {status}" in verdict.reason
    if isinstance(verdict, Retry):
        assert verdict.after == (7.0 if status == 429 else None)
    assert len(server.sent) == 1  # the outbox tries again, and not the client


def test_a_login_in_the_address_is_not_told(
    server: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENLINEAGE_URL", server.url.replace("//", "//user:hunter2@"))
    server.answers.append(401)
    verdict = opened().send(ran("model.shop.orders"))
    assert isinstance(verdict, Hold)
    assert verdict.reason.startswith(f"{server.url}/api/v1/lineage answered 401: check")


def test_the_start_of_the_run_is_tried_again(server: Collected) -> None:
    sink = opened()
    server.answers.append(500)
    assert isinstance(sink.send(ran("model.shop.orders")), Retry)
    assert not server.events
    assert sink.send(ran("model.shop.orders")) == Delivered()
    check_runs(server.events[1:])
    assert server.events[0]["run"]["runId"] == INVOCATION


def test_a_server_that_is_gone_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    forget_settings(monkeypatch)
    monkeypatch.setenv("OPENLINEAGE_URL", "http://127.0.0.1:9")
    verdict = opened().send(ran("model.shop.orders"))
    assert verdict == Retry("OpenLineage's server cannot be reached")


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "no transport that leaves this process"),
        ({"OPENLINEAGE__TRANSPORT__TYPE": "console"}, "no transport that leaves this process"),
        (
            {
                "OPENLINEAGE__TRANSPORT__TYPE": "async_http",
                "OPENLINEAGE__TRANSPORT__URL": "http://127.0.0.1:9",
            },
            "async_http",
        ),
        ({"OPENLINEAGE__TRANSPORT__TYPE": "pigeon"}, "does not start"),
    ],
)
def test_settings_that_cannot_work_wait_for_a_person(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: str
) -> None:
    forget_settings(monkeypatch)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    verdict = opened().send(ran("model.shop.orders"))
    assert isinstance(verdict, Hold)
    assert words in verdict.reason


def test_the_clients_own_settings_count(server: Collected, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "k")
    sent(server, ran("model.shop.orders"))
    assert {h["Authorization"] for h in server.sent} == {"Bearer k"}
