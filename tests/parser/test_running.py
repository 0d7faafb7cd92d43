"""Which nodes run at a moment of a run."""

from __future__ import annotations

import pytest
from support.logs import log

from dbt_relay.parser import Event, EventReader, Run


@pytest.mark.parametrize(
    ("key", "start"),
    [("1.9.11/example_debug", "NodeStart"), ("2.0.0rc196/full_otel", "NodeExecuting")],
)
def test_a_node_runs_from_its_start_to_its_end(key: str, start: str) -> None:
    reader, run, expected, most = EventReader(), Run(), set[str](), 0
    for event in (*reader.feed(log(key)), *reader.end()):
        if not isinstance(event, Event) or run.feed(event) is None or event.node is None:
            continue
        unique_id = str(event.node.get("unique_id"))
        if event.name == start and not unique_id.startswith("operation."):
            expected.add(unique_id)
        elif event.name == "NodeFinished":
            expected.discard(unique_id)
        assert run.last is not None
        assert {*run.last.running()} == expected, event.name
        assert all("T" in since for since in run.last.running().values())
        most = max(most, len(expected))
    assert most > 1
    assert not expected
