"""Where the state folder is, and how room is made in its journal."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.journals import info
from support.records import node

from dbt_relay.cli.relay.state_folder import make_room, state_dir
from dbt_relay.cli.settings import Keeping
from dbt_relay.sinks import Journal


def test_it_is_the_one_that_is_given_or_the_users() -> None:
    assert state_dir(Keeping(Path("/x")), {}) == Path("/x")
    assert state_dir(Keeping(), {"XDG_STATE_HOME": "/y"}) == Path("/y/dbt-relay")
    kept_at_home = Path.home() / ".local/state/dbt-relay"
    assert state_dir(Keeping(), {"XDG_STATE_HOME": "not/absolute"}) == kept_at_home


@pytest.mark.parametrize(
    ("number", "words"), [(1, "1 undelivered record"), (2, "2 undelivered records")]
)
def test_undelivered_records_are_counted(number: int, words: str, tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        run = journal.begin(info())
        for n in range(number):
            run.put(node(f"model.a.{n}", "error"), 0.0)
        run.close()
        assert [*make_room(journal, Keeping(days=7))] == [
            f"relay: deleted {words} of earlier runs, kept for longer than --keep-days (7)"
        ]
        assert [*make_room(journal, Keeping(days=7))] == []
