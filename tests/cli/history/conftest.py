from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from support.ledgers import put, timed

from dbt_relay.sinks import Journal

if TYPE_CHECKING:
    from pathlib import Path

PARENTS: dict[str, list[str]] = {
    "model.shop.stg_orders": ["source.shop.raw.orders"],
    "model.shop.stg_customers": [],
    "model.shop.orders": ["model.shop.stg_orders"],
    "model.shop.customers": ["model.shop.stg_customers", "model.shop.orders"],
    "test.shop.unique_orders_order_id.0123456789": ["model.shop.orders"],
    "test.shop.no_late_orders": ["model.shop.orders"],
}


def fill(state: Path, runs: int) -> None:
    """A run a day. `orders` is rewritten in run 9, and slower since. A test of it is flaky."""
    target = state.with_name("target")
    target.mkdir(exist_ok=True)
    (target / "manifest.json").write_text(
        json.dumps({"metadata": {"invocation_id": "i"}, "parent_map": PARENTS})
    )
    with Journal(state, pytest.fail) as journal:
        for run in range(runs):
            code = {"checksum": "b" * 64 if run >= 8 else "a" * 64}
            slow = 95.0 if run >= 8 else 20.0 + run % 3
            rows = {"rows_affected": 1000 + run, "bytes_processed": 4_200_000 * (run + 1)}
            put(
                journal,
                run,
                timed("model.shop.stg_orders", run, 4.0, checksum="c" * 64),
                timed("model.shop.stg_customers", run, 30.0, checksum="d" * 64),
                timed("model.shop.orders", run, slow, after=15, adapter_response=rows, **code),
                timed(
                    "test.shop.unique_orders_order_id.0123456789",
                    run,
                    status="fail" if run in (2, 5) else "pass",
                ),
                timed("test.shop.no_late_orders", run, status="fail" if run > 9 else "pass"),
                timed("model.shop.customers", run, 10.0, after=120),
                target_dir=str(target),
            )


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state folder of a project that ran twelve times."""
    fill(tmp_path / "state", 12)
    return tmp_path / "state"
