"""How long a project's nodes usually take, as earlier runs in the journal tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.journals import info
from support.records import node

from dbt_relay.records.schema import RunRecord
from dbt_relay.sinks import Journal
from dbt_relay.sinks.journal.usual import usual, usual_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHOP: dict[str, Any] = {"project_dir": "/shop"}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "state", pytest.fail) as journal:
        yield journal


def a_run(
    journal: Journal, at: int, seconds: dict[str, float], run: RunRecord | None = None, **of: Any
) -> None:
    """A run of the minute `at` in which the nodes took so many seconds."""
    begun = journal.begin(info((), **{"started_at": minute(at), **SHOP, **of}))
    for name, took in seconds.items():
        begun.put(node(name, execution_time=took), 0.0)
    begun.put(run or RunRecord(state="finished", announced=len(seconds)), 0.0)


def minute(at: int) -> str:
    return f"2026-01-02T03:{at:02}:00.000000Z"


NOW = info((), started_at=minute(59), **SHOP)


def test_the_median_of_the_latest_five_runs(journal: Journal) -> None:
    for at, seconds in enumerate([99.0, 4.0, 1.0, 100.0, 3.0, 2.0]):
        a_run(journal, at, {"m": seconds, f"only_{at}": 7.0})
    found = usual(journal, NOW)
    assert found.seconds["m"] == 3.0
    assert found.expected == {"m": 2.0, "only_5": 7.0}
    assert found.announced == 2
    assert usual_seconds(journal, NOW, ["m", "none"]) == {"m": 3.0}


def test_only_nodes_that_this_project_ran_to_a_good_end(journal: Journal) -> None:
    a_run(journal, 1, {"m": 1.0}, project_dir="/other")
    a_run(journal, 58, {"m": 1.0}, started_at=minute(59))
    begun = journal.begin(info((), started_at=minute(2), **SHOP))
    begun.put(node("failed", "error", execution_time=5.0), 0.0)
    begun.put(node("skipped", "skipped", execution_time=0.0), 0.0)
    begun.put(node("carried", execution_time=5.0, resumed_from=1), 0.0)
    assert usual(journal, NOW).seconds == {}


@pytest.mark.parametrize(
    ("record", "of"),
    [
        (RunRecord(state="died"), {}),
        (RunRecord(state="running"), {}),
        (RunRecord(state="finished", announced=2, missing=1), {}),
        (None, {"command": ("dbt", "build", "--select", "m")}),
        (None, {"renews": True}),
    ],
    ids=["died", "runs", "stopped", "other command", "some nodes again"],
)
def test_what_no_run_is_like_is_not_expected(
    journal: Journal, record: RunRecord | None, of: dict[str, Any]
) -> None:
    a_run(journal, 1, {"m": 1.0}, record, **of)
    found = usual(journal, NOW)
    assert found.seconds == {"m": 1.0}
    assert (found.expected, found.announced) == ({}, None)


def test_what_did_not_succeed_is_expected_to_take_as_long_again(journal: Journal) -> None:
    begun = journal.begin(info((), started_at=minute(1), **SHOP))
    begun.put(node("failed", "error", execution_time=5.0), 0.0)
    begun.put(node("skipped", "skipped"), 0.0)
    begun.put(node("untimed"), 0.0)
    begun.put(RunRecord(state="finished", announced=3), 0.0)
    assert usual(journal, NOW).expected == {"failed": 5.0, "skipped": 0.0, "untimed": None}


def test_a_run_of_the_same_command_is_found_behind_others(journal: Journal) -> None:
    a_run(journal, 1, {"m": 1.0})
    for at in range(2, 20):
        a_run(journal, at, {"other": 1.0}, command=("dbt", "run", "--select", "other"))
    found = usual(journal, NOW)
    assert found.expected == {"m": 1.0}
    assert found.seconds == {"other": 1.0}
