"""A node's result against the line that dbt itself printed."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
from support.records import node

from dbt_relay.consumer.waiting.wording import result_text
from dbt_relay.parser.events import Event
from dbt_relay.parser.reader import EventReader
from dbt_relay.parser.run import Run
from dbt_relay.parser.secrets import Secrets
from dbt_relay.records.schema import NodeRecord

GOLDEN = Path(__file__).parents[2] / "golden" / "console"
LOGS = [f"{v}/{n}" for v in ("1.7", "1.10", "1.11") for n in ("build", "run")] + ["1.11/kinds"]
DOTS = re.compile(r" \.{2,} ?|  +")
NOT_IN_A_RECORD = re.compile(r"(?<= )\w+::")  # the model of a unit test


def told(log: bytes) -> tuple[dict[str, str], dict[str, NodeRecord]]:
    """dbt's line and the record of each node, by unique_id."""
    lines: dict[str, str] = {}
    records: dict[str, NodeRecord] = {}
    run, reader = Run(), EventReader(Secrets(), include_unread=False)
    for item in [*reader.feed(log), *reader.end()]:
        if isinstance(item, Event):
            if re.fullmatch(r"Log(Model|Seed|Snapshot|Test)Result|SkippingDetails", item.name):
                lines[item.data["node_info"]["unique_id"]] = item.msg
            records.update((record.unique_id, record) for record in run.feed(item) or [])
    return lines, records


@pytest.mark.parametrize("log", LOGS)
def test_the_line_equals_dbts_line(log: str) -> None:
    lines, records = told(gzip.decompress((GOLDEN / f"{log}.jsonl.gz").read_bytes()))
    assert len(lines) > 3
    for unique_id, line in lines.items():
        dbts = NOT_IN_A_RECORD.sub("", DOTS.sub(" ", line)).strip()
        ours = result_text(records[unique_id]).partition("\n")[0]
        assert re.sub(r" because \S+ did not succeed", "", ours) == dbts


def test_only_a_failure_has_its_full_text_below_the_line() -> None:
    lines, records = told(gzip.decompress((GOLDEN / "1.11/build.jsonl.gz").read_bytes()))
    assert lines
    failed = records["model.jaffle.broken_on_purpose"]
    assert result_text(failed).endswith(f"\n{failed.message}")
    assert failed.message is not None
    assert len(failed.message.splitlines()) > 1
    assert "\n" not in result_text(records["model.jaffle.orders"])
    skipped = result_text(records["model.jaffle.skipped_on_purpose"])
    assert "[SKIP because model.jaffle.broken_on_purpose did not succeed]" in skipped


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (
            {"status": "partial success", "batches": {"total": 5, "success": 4, "error": 1}},
            "PARTIALLY created sql microbatch model a [PARTIAL SUCCESS (4/5)]",
        ),
        ({"status": "reused"}, "REUSED created sql model a [REUSED]"),
        ({"status": "interrupted", "outcome": "interrupted"}, "INTERRUPTED model a [INTERRUPTED]"),
        ({"status": "success", "path": "models/a.py"}, "OK created python model a [OK]"),
        ({"status": "a word of a later dbt"}, "A WORD OF A LATER DBT model a"),
    ],
)
def test_results_that_no_example_log_has(fields: dict[str, Any], line: str) -> None:
    record = node("model.p.a", **{"name": "a", "resource_type": "model", **fields})
    assert result_text(record).startswith(line)
    json.dumps(result_text(record))


@pytest.mark.parametrize(
    ("status", "line"),
    [
        ("pass", "4 of 4 PASS freshness of raw.stale [PASS in 0.03s]"),
        ("warn", "4 of 4 WARN freshness of raw.stale [WARN in 0.03s]"),
        ("error", "4 of 4 ERROR STALE freshness of raw.stale [ERROR STALE in 0.03s]"),
        ("runtime error", "4 of 4 ERROR freshness of raw.stale [ERROR in 0.03s]"),
    ],
)
def test_the_freshness_of_a_source_has_dbts_words(status: str, line: str) -> None:
    """The lines are those of dbt 1.11."""
    facts = {"resource_type": "source", "index": 4, "total": 4, "execution_time": 0.0282}
    record = node("source.shop.raw.stale", name="stale", status=status, **facts)
    assert result_text(record) == line
