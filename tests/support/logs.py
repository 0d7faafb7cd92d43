"""The corpus of real dbt logs, and folding one into records."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from dbt_relay.parser import Event, EventReader, Run, Secrets, Text, read_run_results
from dbt_relay.records import NodeRecord

CORPUS = Path(__file__).parents[1] / "corpus"
SCENARIOS: dict[str, dict[str, Any]] = json.loads((CORPUS / "scenarios.json").read_text())


@cache
def log(key: str) -> bytes:
    return gzip.decompress((CORPUS / f"{key}.jsonl.gz").read_bytes())


@cache
def artifact(key: str, name: str = "run_results") -> bytes | None:
    path = CORPUS / f"{key}.{name}.json.gz"
    return gzip.decompress(path.read_bytes()) if path.exists() else None


@dataclass
class Folded:
    """What a stream came to: every record in the order of publication, and the rest."""

    records: list[NodeRecord]
    texts: list[bytes]
    run: Run
    reader: EventReader

    @property
    def final(self) -> dict[str, NodeRecord]:
        return {record.unique_id: record for record in self.records}

    @property
    def final_json(self) -> dict[str, dict[str, Any]]:
        """The last record of each node without `sequence`, which counts how it came to be."""
        return {
            uid: {k: v for k, v in record.to_json().items() if k != "sequence"}
            for uid, record in self.final.items()
        }


def fold(
    stream: bytes | list[bytes],
    *,
    results: bytes | None = None,
    secrets: Secrets | None = None,
    include_unread: bool = False,
    ended: Any = None,
) -> Folded:
    """Feed a stream, in one piece or in chunks, through the whole parser."""
    reader, run = EventReader(secrets, include_unread=include_unread), Run()
    folded = Folded([], [], run, reader)
    chunks = [stream] if isinstance(stream, bytes) else stream
    items = [item for chunk in chunks for item in reader.feed(chunk)]
    for item in (*items, *reader.end()):
        if isinstance(item, Text):
            folded.texts.append(item.line)
            continue
        assert isinstance(item, Event)
        records = run.feed(item)
        if records is None:
            folded.texts.append(item.line)
        folded.records += records or []
    if results is not None and (read := read_run_results(results)) is not None:
        folded.records += run.reconcile(read)
    folded.records += run.finish(ended)
    return folded


@cache
def folded_log(key: str) -> Folded:
    """A log of the corpus through the parser, without dbt's files. To be looked at only."""
    return fold(log(key))


def line(name: str, data: dict[str, Any], *, invocation_id: str = "i-1", **info: Any) -> bytes:
    """One line of dbt's log, made by hand."""
    envelope = {
        "category": "",
        "code": "",
        "extra": {},
        "invocation_id": invocation_id,
        "level": "debug",
        "msg": "",
        "name": name,
        "pid": 1,
        "thread": "Thread-1 (worker)",
        "ts": "2026-01-02T03:04:05.000006Z",
    }
    event = {"data": data, "info": {**envelope, **info}}
    return json.dumps(event, sort_keys=True).encode() + b"\n"


BEGIN = line("MainReportVersion", {"version": "=1.11.16"})
"""The first event of a run, as the file of a debug log has it."""
