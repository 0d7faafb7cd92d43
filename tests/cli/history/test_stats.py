"""`dbt-relay stats`: what a person reads, and what a program gets."""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.ledgers import PROJECT, fill, put, timed

from dbt_relay.cli.history.findings import matches, name_of
from dbt_relay.cli.history.table import cut
from dbt_relay.cli.history.volume import size
from dbt_relay.sinks import Journal
from dbt_relay.sinks.journal.history import prune

if TYPE_CHECKING:
    from support.command import Typed

GOLDEN = Path(__file__).parents[2] / "golden" / "stats"


def is_golden(name: str, text: str) -> bool:
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("RENEW_GOLDEN"):
        path.write_text(text)
    return path.read_text() == text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("history", ()),
        ("one_node", ("orders",)),
        ("since", ("--since", "2026-11-12")),
        ("nothing_like_it", ("no_such_*",)),
    ],
)
def test_what_a_person_reads(typed: Typed, state: Path, name: str, words: tuple[str, ...]) -> None:
    """RENEW_GOLDEN=1 writes the texts again."""
    done = typed("stats", *words, "--state-dir", state, COLUMNS="80")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    assert is_golden(name, done.stdout)


def test_a_slow_warehouse_and_long_names(typed: Typed, tmp_path: Path) -> None:
    """Nodes that became slower together are told so, and 80 columns hold names of any length."""
    names = [f"model.shop.{letter * 90}" for letter in "abcd"]
    test = f"test.shop.{'t' * 90}.0123456789"
    with Journal(tmp_path / "state") as journal:
        for run in range(8):
            slow = 3.0 if run > 5 else 1.0
            results = [timed(name, run, slow) for name in names]
            status = "fail" if run in (2, 4) else "pass"
            put(journal, run, *results, timed(test, run, status=status))
    done = typed("stats", "--state-dir", tmp_path / "state", COLUMNS="80")
    assert "4 nodes are slower than usual, all of them since run 7:" in done.stdout
    assert "1 node fails and succeeds in turn (whether their code changed" in done.stdout
    assert "aaaa…aaaa" in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


def test_few_runs_get_an_honest_sentence(typed: Typed, tmp_path: Path) -> None:
    fill(tmp_path / "state", 3)
    done = typed("stats", "--state-dir", tmp_path / "state", COLUMNS="80")
    assert is_golden("few", done.stdout)
    assert "Too few runs to say what got slower" in done.stdout


def test_no_run_at_all(typed: Typed, tmp_path: Path) -> None:
    done = typed("stats", "--state-dir", tmp_path / "state")
    assert done.returncode == 0
    assert done.stdout == f"no run of dbt in {tmp_path / 'state'} yet, so there is nothing to say\n"


def told(typed: Typed, state: Path, *words: str) -> dict[str, Any]:
    done = typed("stats", "--json", "--state-dir", state, *words)
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    return json.loads(done.stdout)


def test_a_program_gets_all_of_it(typed: Typed, state: Path) -> None:
    found = told(typed, state)
    assert (found["schema"], found["project"], found["runs"]) == ("dbt-relay/stats@1", PROJECT, 12)
    assert found["slower"] == [
        {
            "unique_id": "model.shop.orders",
            "usual_seconds": 21.0,
            "spread_seconds": 1.853,
            "last_seconds": 95.0,
            "factor": 4.524,
            "since": {"run": 9, "started_at": "2026-11-10T03:00:00.000Z"},
            "runs_since": 4,
            "code_changed": True,
            "rows_factor": None,
        }
    ]
    assert [(f["unique_id"], f["failed"], f["is_code_known"]) for f in found["flaky"]] == [
        ("test.shop.unique_orders_order_id.0123456789", 2, True)
    ]
    assert [(f["unique_id"], f["is_failing"]) for f in found["failed"]] == [
        ("test.shop.no_late_orders", True),
        ("test.shop.unique_orders_order_id.0123456789", False),
    ]
    assert found["critical_path"]["nodes"] == [
        "model.shop.stg_orders",
        "model.shop.orders",
        "model.shop.customers",
    ]
    assert found["critical_path"]["savings"][0] == {
        "unique_id": "model.shop.orders",
        "seconds": 95.0,
        "saves": 69.0,
    }
    (orders,) = [node for node in found["nodes"] if node["unique_id"] == "model.shop.orders"]
    assert [week["week"] for week in orders["weeks"]] == ["2026-11-02", "2026-11-09"]
    assert orders["weeks"][1]["rows"] == sum(1000 + run for run in range(7, 12))


def test_the_reference_names_each_field(typed: Typed, state: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "history.md").read_text()
    _, _, text = page.partition("## The JSON of `stats`")
    found = told(typed, state)
    parts = [found, *(found[name][0] for name in ("slower", "flaky", "failed", "nodes"))]
    parts += [found["critical_path"], *(week for node in found["nodes"] for week in node["weeks"])]
    missing = {name for part in parts for name in part if f"`{name}`" not in text}
    assert missing == set()
    tables = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    assert tables == [*found, *found["slower"][0]]


def test_the_history_outlives_the_journal(typed: Typed, state: Path) -> None:
    before = told(typed, state)
    with Journal(state) as journal:
        assert prune(journal, datetime.now(timezone.utc), 1, 365_000).runs == 11
    assert told(typed, state) == before


def test_without_the_latest_run_in_the_journal_there_is_no_critical_path(
    typed: Typed, state: Path
) -> None:
    told(typed, state)
    with Journal(state) as journal:
        prune(journal, datetime.now(timezone.utc), 1, 0)
    done = typed("stats", "--state-dir", state)
    assert "No critical path: the full records of the latest run are gone." in done.stdout


@pytest.mark.parametrize(
    ("words", "runs"),
    [
        (("--last", "3"), 3),
        (("--since", "2026-11-10"), 4),
        (("--since", "2026-11-10T04:00:00Z"), 3),
        (("--since", "2026-11-10", "--last", "2"), 2),
        (("--since", "52000w"), 12),
    ],
)
def test_which_runs_count(typed: Typed, state: Path, words: tuple[str, ...], runs: int) -> None:
    assert told(typed, state, *words)["runs"] == runs


def test_a_time_that_is_none(typed: Typed, state: Path) -> None:
    done = typed("stats", "--since", "yesterday", "--state-dir", state)
    assert done.returncode == 64
    assert "'yesterday' is neither a span as 30m, 12h, 30d or 4w nor a date" in done.stderr


class TestProject:
    @pytest.fixture
    def two(self, state: Path, tmp_path: Path) -> Path:
        """Another project ran last, and the folder of a third is empty."""
        for name in ("other/models", "third"):
            (tmp_path / name).mkdir(parents=True)
        with Journal(state) as journal:
            put(journal, 20, timed("model.other.a", 20), project_dir=str(tmp_path / "other"))
        return state

    def test_it_is_the_one_of_the_folder(
        self, typed: Typed, two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path / "other" / "models")
        assert told(typed, two)["project"] == str(tmp_path / "other")

    def test_elsewhere_it_is_the_one_that_ran_last(
        self, typed: Typed, two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path / "third")
        assert told(typed, two)["project"] == str(tmp_path / "other")
        (tmp_path / "third" / "dbt_project.yml").touch()
        done = typed("stats", "--state-dir", two)
        assert f"no run of the project in {tmp_path / 'third'} yet" in done.stderr
        (tmp_path / "third" / "dbt_project.yml").unlink()
        done = typed("stats", "--state-dir", two)
        assert done.stderr == "relay: 1 other project ran here: name one with --project\n"

    @pytest.mark.parametrize("name", [PROJECT, "shop"])
    def test_it_can_be_named(self, typed: Typed, two: Path, name: str) -> None:
        assert told(typed, two, "--project", name)["project"] == PROJECT

    def test_an_unknown_one_is_answered_with_those_that_are_known(
        self, typed: Typed, two: Path, tmp_path: Path
    ) -> None:
        done = typed("stats", "--project", "nope", "--state-dir", two)
        assert done.returncode == 64
        assert f"dbt-relay knows:\n  {tmp_path / 'other'}\n  {PROJECT}" in done.stderr


@pytest.mark.parametrize(
    ("unique_id", "name"),
    [
        ("model.shop.orders", "orders"),
        ("model.shop.orders.v2", "orders.v2"),
        ("test.shop.unique_orders_id.0123456789", "unique_orders_id"),
        ("test.shop.no_late_orders", "no_late_orders"),
        ("unit_test.shop.orders.adds_up", "orders.adds_up"),
        ("source.shop.raw.orders", "raw.orders"),
        ("odd", "odd"),
    ],
)
def test_the_name_of_a_node(unique_id: str, name: str) -> None:
    assert name_of(unique_id) == name
    assert matches(unique_id, [name])
    assert matches(unique_id, ["x", f"{unique_id[:3]}*"])
    assert not matches(unique_id, ["x"])


def test_a_long_name_loses_its_middle() -> None:
    assert cut("int_orders_joined_to_customers", 15) == "int_ord…stomers"
    assert cut("orders", 6) == "orders"


@pytest.mark.parametrize(
    ("count", "text"), [(812, "812 B"), (999_999, "1.0 MB"), (4_200_000_000, "4.2 GB")]
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text
