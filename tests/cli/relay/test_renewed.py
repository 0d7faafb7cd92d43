"""Nodes that `run --renew` runs again for a task that has ended say so in their records."""

from __future__ import annotations

import pytest
from support.logs import log
from support.pipelines import published


@pytest.mark.parametrize("renews", [True, False])
def test_each_of_them_and_no_other(renews: bool) -> None:
    records = published(log("1.11.16/build_ok_debug"), renews=renews)
    assert len(records) > 10
    assert {r.renewed for r in records} == {True if renews else None}
    assert all(("renewed" in r.to_json()) == renews for r in records)
