"""No event is lost because of deep nesting, or because a value has a wrong type."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fuzz.case import check_types
from support.logs import BEGIN, Folded, fold, line

from dbt_relay.parser import RecordCallback, Secrets, read_lineage, read_run_results
from dbt_relay.records import NodeRecord, RunRecord, read_record
from dbt_relay.records.values import encode

NODE = {"unique_id": "model.a.b", "node_name": "b", "resource_type": "model"}
RESULT = {"status": "error", "message": "boom", "execution_time": 0.5, "adapter_response": {"a": 1}}
DEPTHS = [90, 260, 600, 980, 1_023, 1_100, 20_000]


def ended(**result: Any) -> bytes:
    return line("NodeFinished", {"node_info": NODE, "run_result": {**RESULT, **result}})


def deep_event(depth: int) -> bytes:
    nested = b'{"k": [' * (depth // 2) + b"]}" * (depth // 2)
    return ended().replace(b'{"a": 1}', b'{"a": 1, "deep": ' + nested + b"}")


def only(folded: Folded) -> NodeRecord:
    (record,) = folded.records
    check_types(record)
    assert json.loads(encode(record.to_json()))["status"] == record.status
    return record


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("secrets", [(), ("boom",), ("node", '"')])
@pytest.mark.parametrize("before", [b"", b"progress 5 % "])
def test_a_deep_response_leaves_a_record(
    depth: int, secrets: tuple[str, ...], before: bytes
) -> None:
    folded = fold(BEGIN + before + deep_event(depth), secrets=Secrets(secrets))
    record = only(folded)
    assert (record.unique_id, record.outcome) == ("model.a.b", "failure")
    assert record.adapter_response is not None
    assert record.adapter_response["a"] == 1
    assert ("nested too deep" in json.dumps(record.adapter_response)) == (depth > 99)
    assert folded.reader.faults == 0


@pytest.mark.parametrize("depth", [600, 980])
def test_a_deep_dictionary_of_the_runner(depth: int) -> None:
    got: list[NodeRecord] = []
    callback = RecordCallback(got.append, secrets=["boom"])
    callback(json.loads(BEGIN))
    event = json.loads(ended())
    nested: Any = 1
    for _ in range(depth):
        nested = {"k": nested}
    event["data"]["run_result"]["adapter_response"] = nested
    camel = json.loads(BEGIN)
    camel["info"]["invocationId"] = camel["info"].pop("invocation_id")
    camel["data"]["deep"] = nested
    callback(camel)
    callback(event)
    callback({"info": {"name": "NodeFinished", 7: 8, "invocationId": "i-1"}, "data": {}})
    assert [r.outcome for r in got] == ["failure"]
    assert callback.faults == 1
    assert encode(got[0].to_json())


@pytest.mark.parametrize("depth", [600, 5_000])
def test_deep_artifacts_and_records(depth: int) -> None:
    nested = "[" * depth + "]" * depth
    metadata = '"metadata": {"invocation_id": "i"}'
    results = f'{{{metadata}, "results": [{{"unique_id": "a", "x": {nested}}}]}}'
    read = read_run_results(results.encode())
    assert read is not None
    assert [*read.results] == ["a"]
    manifest = f'{{{metadata}, "parent_map": {{"a": {nested}}}, "child_map": {{}}}}'
    read_lineage(manifest.encode())
    value: Any = 1
    for _ in range(depth):
        value = [value]
    form = {"schema": "dbt-relay/node@1", "unique_id": "a", "status": "error", "outcome": "failure"}
    record = read_record({**form, "adapter_response": {"k": value}, "timing": [{"n": value}]})
    assert record is not None
    assert encode(record.to_json())


WRONG: list[Any] = [
    "0.5", "", True, False, None, 2**40, 2**70, -1, 1.5, float("nan"), float("inf"),
    [], ["x"], [[]], {}, {"a": 1}, {"a": []}, "\x00",
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
@pytest.mark.parametrize("kind", [NodeRecord, RunRecord])
def test_a_field_of_a_wrong_type_is_absent(kind: Any, wrong: Any) -> None:
    form: dict[str, Any] = {"schema": kind.schema, "state": "finished"}
    if kind is NodeRecord:
        form |= {"unique_id": "a", "status": "error", "outcome": "failure"}
    for name in kind.__dataclass_fields__:
        record = read_record({**form, name: wrong})
        if record is None:
            assert name in ("unique_id", "status", "outcome", "state")
        else:
            check_types(record)


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
@pytest.mark.parametrize("name", [*sorted(RESULT), "thread", "num_failures", "timing_info"])
def test_a_result_of_a_wrong_type(name: str, wrong: Any) -> None:
    folded = fold(BEGIN + ended(**{name: wrong}) + ended())
    record = only(folded) if len(folded.records) == 1 else folded.records[-1]
    check_types(record)
    assert record.outcome == "failure" if name != "status" else record.outcome


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
def test_an_envelope_of_a_wrong_type(wrong: Any) -> None:
    for key in ("ts", "pid", "thread", "level", "msg", "name", "invocation_id", "extra"):
        event = json.loads(line("StatsLine", {}))
        event["info"][key] = wrong
        folded = fold(BEGIN + json.dumps(event).encode() + b"\n" + ended())
        assert only(folded).status == "error"
    for key in ("node_info", "index", "total", "status"):
        fold(BEGIN + line("LogModelResult", {"node_info": NODE, key: wrong}) + ended())
