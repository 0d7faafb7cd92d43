"""A fault of the relay itself costs no other event of the log."""

from __future__ import annotations

import io
from typing import Any

import pytest
from support.logs import BEGIN, line
from support.pipelines import pipeline

from dbt_relay.cli.output.console import Console
from dbt_relay.cli.relay.pipeline import Pipeline

NODE = {"unique_id": "model.a.b", "node_name": "b", "resource_type": "model"}
ENDED = line("NodeFinished", {"node_info": NODE, "run_result": {"status": "error"}})


def relay_to(published: list[str]) -> Pipeline:
    """A pipeline that adds the unique_id of each record to a list."""
    console = Console(io.BytesIO(), level="debug")
    return pipeline(lambda found: published.extend(r.unique_id for r in found), console)


@pytest.mark.parametrize(
    "broken",
    [
        "dbt_relay.parser.reader.event_of",
        "dbt_relay.parser.run.Run.feed",
        "dbt_relay.cli.output.console.Console.event",
    ],
)
@pytest.mark.parametrize("failure", [RecursionError, MemoryError, KeyError])
def test_it_costs_one_event(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    broken: str,
    failure: type[Exception],
) -> None:
    published: list[str] = []
    relay = relay_to(published)
    relay.feed(BEGIN)
    with monkeypatch.context() as patch:

        def fail(*_: Any, **__: Any) -> Any:
            raise failure("of ours")

        patch.setattr(broken, fail)
        relay.feed(line("StatsLine", {}))
    relay.feed(ENDED)
    relay.end(None)
    assert published == ["model.a.b"]
    assert relay.faults == 1
    assert "of ours" in capsys.readouterr().err


def test_printing_costs_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    published: list[str] = []
    relay = relay_to(published)
    monkeypatch.setattr(Console, "event", lambda *_: 1 / 0)
    relay.feed(BEGIN + ENDED)
    assert published == ["model.a.b"]


def test_records_are_published_before_a_line_of_their_chunk_is_printed() -> None:
    """Whoever has seen dbt's line finds the record in the journal."""
    out = io.BytesIO()
    printed_before: list[bytes] = []
    relay = pipeline(lambda _: printed_before.append(out.getvalue()), Console(out, level="debug"))
    relay.feed(BEGIN)
    shown = out.getvalue()
    relay.feed(line("StatsLine", {}) + ENDED * 2_000)
    assert printed_before == [shown]
    assert len(out.getvalue()) > len(shown) + 20_000
