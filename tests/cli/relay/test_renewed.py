"""Nodes that `run --renew` runs again for a task that has ended say so in their records."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from support.logs import log

from dbt_relay.cli.output.console import Console
from dbt_relay.cli.relay.pipeline import Pipeline
from dbt_relay.parser import Secrets
from dbt_relay.records import NodeRecord


@pytest.mark.parametrize("renews", [True, False])
def test_each_of_them_and_no_other(renews: bool) -> None:
    records: list[NodeRecord] = []
    relay = Pipeline(
        Console(io.BytesIO()),
        records.append,
        secrets=Secrets(),
        target_dir=Path("nowhere"),
        renews=renews,
    )
    relay.feed(log("1.11.16/build_ok_debug"))
    relay.end(None)
    assert len(records) > 10
    assert {r.renewed for r in records} == {True if renews else None}
    assert all(("renewed" in r.to_json()) == renews for r in records)
