"""The loop that reads dbt takes a number of steps that is linear in its input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dbt_relay.parser import Event, EventReader, Run, Secrets

if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import growth

sys.path.pop(0)
SIZES = {"one deep event": 20_000, "torn events in one another": 800, "one long line": 20}
"""A deep event is deeper than any Python decodes: 3.13 goes further than those before it."""


def steps(kind: str, size: int) -> int:
    """How many lines of our code run while it reads a stream of this kind."""
    make, _, lineage_of, secrets = growth.KINDS[kind]
    stream, count = make(size), 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if "site-packages" in frame.f_code.co_filename:
            return None
        count += event == "line"
        return trace

    reader, run = EventReader(Secrets(secrets)), Run()
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        for item in reader.feed(stream):
            if isinstance(item, Event):
                run.feed(item)
                if lineage_of is not None and run.last is not None and not run.last.nodes:
                    run.use_lineage(lineage_of(size))
        run.finish()
        run.failed()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("kind", sorted(growth.KINDS))
def test_twice_the_input_takes_twice_the_steps(kind: str) -> None:
    size = SIZES.get(kind, 60)
    assert steps(kind, 4 * size) <= 4.5 * steps(kind, size) + 200
