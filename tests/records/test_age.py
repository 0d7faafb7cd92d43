"""Which of two records is newer, even if the clock was set back between them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from support.logs import line

from dbt_relay.parser.events import Event
from dbt_relay.parser.reader import EventReader
from dbt_relay.parser.run import Run
from dbt_relay.parser.secrets import Secrets
from dbt_relay.records.age import is_older, start_after
from dbt_relay.records.schema import NodeRecord, RunRecord

NODE = NodeRecord(
    unique_id="model.shop.a", status="error", outcome="failure", attempt=1, sequence=2,
    invocation_id="i-1", invocation_started_at="2026-01-02T03:04:05.000006Z",
)  # fmt: skip
RUN = RunRecord(
    state="finished", attempt=1, sequence=2, invocation_id="i-1",
    started_at="2026-01-02T03:04:05.000006Z",
)  # fmt: skip
EARLIER = "2026-01-01T00:00:00Z"


@pytest.mark.parametrize("record", [NODE, RUN])
def test_in_one_invocation_the_sequence_decides(record: NodeRecord | RunRecord) -> None:
    name = "invocation_started_at" if isinstance(record, NodeRecord) else "started_at"
    amended = replace(record, sequence=3, **{name: EARLIER})
    assert not is_older(amended, than=record)
    assert is_older(record, than=amended)


@pytest.mark.parametrize("record", [NODE, RUN])
def test_the_attempt_decides_before_all(record: NodeRecord | RunRecord) -> None:
    assert is_older(replace(record, sequence=9), than=replace(record, attempt=2))


def test_of_two_invocations_the_later_start_decides() -> None:
    other = replace(NODE, invocation_id="i-2", invocation_started_at=EARLIER, sequence=9)
    assert is_older(other, than=NODE)


@pytest.mark.parametrize(
    ("started_at", "than", "result"),
    [
        ("2026-01-02T00:00:00Z", None, "2026-01-02T00:00:00Z"),
        (None, "2026-01-02T00:00:00Z", None),
        ("2026-01-02T00:00:00.5Z", "2026-01-02T00:00:00Z", "2026-01-02T00:00:00.5Z"),
        ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z", "2026-01-02T00:00:00.000001Z"),
        ("2026-01-02T00:00:00Z", "2026-01-02T00:00:00.999999Z", "2026-01-02T00:00:00.9999990001Z"),
        ("2026-01-02T00:00:00Z", "2026-01-02T00:00:00.123456789Z", "2026-01-02T00:00:00.123457Z"),
    ],
)
def test_a_start_after_another(
    started_at: str | None, than: str | None, result: str | None
) -> None:
    assert start_after(started_at, than) == result


def _events(invocation: str, ts: str, status: str) -> list[Event]:
    node = {"unique_id": NODE.unique_id, "resource_type": "model", "node_name": "a"}
    lines = [
        line("MainReportVersion", {"version": "=1.11.16"}, level="info"),
        line("NodeStart", {"node_info": {**node, "node_status": "started"}}),
        line("NodeFinished", {"node_info": node, "run_result": {"status": status}}),
    ]
    found: list[Event] = []
    for item in EventReader(Secrets(())).feed(b"".join(lines)):
        assert isinstance(item, Event)
        item.info.update({"invocation_id": invocation, "ts": ts})
        found.append(item)
    return found


@pytest.mark.parametrize("times", [("3", "2", "1"), ("2", "2", "2"), ("1", "3", "2")])
def test_in_one_run_of_the_relay_the_later_invocation_is_newer(times: tuple[str, ...]) -> None:
    """`dbt seed && dbt run`, with a clock that was set back in between."""
    run = Run(attempt=1, since="2026-01-02T03:00:09Z")
    records: list[NodeRecord] = []
    for number, time in enumerate(times):
        status = "success" if number else "error"
        for event in _events(f"i-{number}", f"2026-01-02T03:00:0{time}Z", status):
            records += run.feed(event) or []
    assert len(records) == len(times)
    for before, after in pairwise(records):
        assert not is_older(after, than=before)
        assert is_older(before, than=after)
    carried = replace(NODE, invocation_id="i-old", invocation_started_at="2026-01-02T03:00:09Z")
    assert not is_older(records[0], than=carried)
