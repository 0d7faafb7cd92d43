"""One fuzzed stream through everything that a line of dbt's output goes through."""

from __future__ import annotations

import functools
import io
import itertools
import json
import random
import types
import typing
from dataclasses import fields
from typing import Any

from support.logs import CORPUS, SCENARIOS, artifact, log

from dbt_relay.cli.output.console import Console
from dbt_relay.parser import (
    Event,
    EventReader,
    RecordCallback,
    Run,
    Secrets,
    read_lineage,
    read_run_results,
)
from dbt_relay.records import Record, RunRecord, is_older, read_record
from dbt_relay.records.exits import Exit
from dbt_relay.records.values import encode
from dbt_relay.sinks.airflow.payload import xcom_value
from fuzz.mutation import mutated, odd

V2 = [f"2.0.0rc196/{path.name[:-9]}" for path in CORPUS.glob("2.0.0rc196/*.jsonl.gz")]
LOGS = sorted(key for key in (*SCENARIOS, *V2) if log(key)[:1] == b"{")
_SECRETS = [(), (), ("hunter2",), ("node", "true", '"'), ("jaffle", "error", "model")]
_LONGEST = 20_000


def try_case(seed: int) -> None:
    """Raises what went wrong."""
    chance = random.Random(seed)
    key = chance.choice(LOGS)
    stream = mutated(_some_lines(key, chance), chance)
    records = _folded(key, stream, chance)
    for record in records:
        _look_at(record, chance)
    if records:
        a, b = chance.choice(records), chance.choice(records)
        assert isinstance(is_older(a, b), bool)
    _look_at_odd_json(records, chance)


def _some_lines(key: str, chance: random.Random) -> list[bytes]:
    """The first line and some that lie together: half of the time those that make records."""
    head, matter, all_lines = _lines(key)
    lines = matter if matter and chance.random() < 0.5 else all_lines
    start = chance.randrange(max(1, len(lines) - 10))
    return [head, *lines[start : start + chance.randint(3, 20)]]


@functools.cache
def _lines(key: str) -> tuple[bytes, list[bytes], list[bytes]]:
    lines = [line for line in log(key).splitlines(keepends=True) if len(line) < _LONGEST]
    words = (b"NodeStart", b"NodeFinished", b"Result", b"Skip", b"Hook", b"Error", b"Cancel")
    names = [line.rpartition(b'"name": "')[2][:40] for line in lines]
    matter = [
        line for line, name in zip(lines, names, strict=True) if any(w in name for w in words)
    ]
    return lines[0], matter, lines


def _folded(key: str, stream: bytes, chance: random.Random) -> list[Record]:
    secrets = Secrets(chance.choice(_SECRETS))
    reader = EventReader(secrets, include_unread=chance.random() < 0.3)
    run, records = Run(attempt=chance.choice((None, 1))), list[Record]()
    console = Console(io.BytesIO(), level="debug", style=chance.choice(("text", "debug")))
    called = RecordCallback(records.append, secrets=("jaffle",) if secrets else ())
    size = chance.choice((50, 4_000, len(stream) or 1))
    chunks = [stream[i : i + size] for i in range(0, len(stream), size)]
    for item in itertools.chain(*(reader.feed(chunk) for chunk in chunks), reader.end()):
        if not isinstance(item, Event):
            console.text(item.line)
            continue
        console.event(item)
        records += run.feed(item) or ()
        if chance.random() < 0.1:
            called({"info": item.info, "data": item.data})
        assert isinstance(item.ts + item.msg + item.level + item.thread + item.invocation_id, str)
    results = artifact(key)
    if results is not None and chance.random() < 0.2 and run.last is not None:
        document = odd(json.loads(results), chance)
        found = read_run_results(json.dumps(document).encode())
        records += run.reconcile(found) if found is not None else ()
    if run.last is not None and chance.random() < 0.3:
        ids = [*run.last.nodes] or ["model.a.b"]
        parents = odd({u: chance.choices(ids, k=2) for u in ids}, chance)
        manifest = f'{{"metadata": {{"invocation_id": "{run.last.id}"}}, "parent_map": '
        manifest += json.dumps(parents) + ', "child_map": {}}'
        lineage = read_lineage(manifest.encode("utf-8", "replace"))
        if lineage is not None:
            run.use_lineage(lineage)
    records += run.finish(Exit(code=1) if chance.random() < 0.5 else None)
    called.finish()
    assert isinstance(run.failed(), list)
    for failed in (reader.fault, called.fault):
        if failed is not None:
            raise failed
    return records


def _look_at(record: Record, chance: random.Random) -> None:
    """It is what it says, survives its way to a sink and back, and is sent."""
    check_types(record)
    value = record.to_json()
    written = encode(value)
    again = read_record(json.loads(written))
    assert again is not None
    assert encode(again.to_json()) == written, (again, record)
    assert encode(xcom_value(value, 16_384))


def _look_at_odd_json(records: list[Record], chance: random.Random) -> None:
    """What stands in an XCom or in a journal may be anybody's."""
    forms = [record.to_json() for record in records[:3]] or [_RUN.to_json()]
    for form in forms:
        read = read_record(odd(form, chance))
        if read is not None:
            check_types(read)
            assert read_record(read.to_json()) is not None


_RUN = RunRecord(
    state="finished", nodes={"success": 1}, failed=["a"], delivery={"airflow": {"records": 1}}
)


@functools.cache
def _hints(kind: type[Record]) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def check_types(record: Record) -> None:
    """Every field holds what it is declared to hold, at every depth."""
    for field in fields(record):
        value, declared = getattr(record, field.name), _hints(type(record))[field.name]
        assert _is(value, declared), f"{field.name} = {value!r:.200}, which is no {declared}"


def _is(value: Any, declared: Any) -> bool:
    origin, arguments = typing.get_origin(declared), typing.get_args(declared)
    if declared is Any:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(_is(value, argument) for argument in arguments)
    if origin is typing.Literal:
        return isinstance(value, str) and value in arguments
    if origin is dict:
        return isinstance(value, dict) and all(_is(v, arguments[1]) for v in value.values())
    if origin is list:
        return isinstance(value, list) and all(_is(v, arguments[0]) for v in value)
    if declared is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, declared) and (declared is bool or not isinstance(value, bool))
