"""dbt's log through the pipeline of `dbt-relay run`: what it publishes and what it prints."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbt_relay.cli.output.console import Console
from dbt_relay.cli.relay.pipeline import Pipeline
from dbt_relay.parser import Secrets

if TYPE_CHECKING:
    from collections.abc import Callable

    from dbt_relay.records import NodeRecord

NOWHERE = Path("nowhere")
"""The target folder of a run that has left no files."""


def pipeline(
    publish: Callable[[list[NodeRecord]], object] = lambda _: None,
    console: Console | None = None,
    target: Path = NOWHERE,
    **options: Any,
) -> Pipeline:
    """A pipeline without secrets, whose `console` prints into the void unless one is given."""
    console = console or Console(io.BytesIO())
    kept: dict[str, NodeRecord] = {}

    def keep(records: list[NodeRecord]) -> None:
        kept.update((record.unique_id, record) for record in records)
        publish(records)

    return Pipeline(console, keep, recall=kept.get, secrets=Secrets(), target_dir=target, **options)


def published(log: bytes, target: Path = NOWHERE, **options: Any) -> list[NodeRecord]:
    """The records that come of a whole log, in the order in which they are published."""
    records: list[NodeRecord] = []
    relay = pipeline(records.extend, target=target, **options)
    relay.feed(log)
    relay.end(None)
    assert relay.faults == 0
    return records


def printed(log: bytes, chunk: int | None = None, **console: Any) -> bytes:
    """The text that comes of a whole log, read in pieces of `chunk` bytes."""
    out = io.BytesIO()
    relay = pipeline(console=Console(out, **console))
    size = chunk or len(log) or 1
    for at in range(0, len(log), size):
        relay.feed(log[at : at + size])
    relay.end(None)
    return out.getvalue()
