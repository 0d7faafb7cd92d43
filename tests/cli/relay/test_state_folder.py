"""Room is made in the journal, and what is lost to that is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.journals import info

from dbt_relay.cli.relay.state_folder import make_room
from dbt_relay.cli.settings import Keeping
from dbt_relay.records.schema import NodeRecord
from dbt_relay.sinks import Journal

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("number", "words"), [(1, "1 undelivered record"), (2, "2 undelivered records")]
)
def test_undelivered_records_are_counted(number: int, words: str, tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        run = journal.begin(info())
        for n in range(number):
            run.put(NodeRecord(unique_id=f"model.a.{n}", status="error", outcome="failure"), 0.0)
        run.close()
        assert [*make_room(journal, Keeping(days=7))] == [
            f"relay: deleted {words} of earlier runs, kept for longer than --keep-days (7)"
        ]
        assert [*make_room(journal, Keeping(days=7))] == []
