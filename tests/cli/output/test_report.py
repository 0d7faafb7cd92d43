"""Each line that counts something says one and several as English does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.journals import info
from support.records import node

from dbt_relay.cli.output import report
from dbt_relay.consumer.causes import Causes
from dbt_relay.sinks import Figures, Journal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def figures(records: int, delivered: int = 0, **fields: Any) -> Figures:
    return Figures("airflow", records, delivered, **{"waiting": {}, "rejected": {}, **fields})


def first(lines: Iterable[str]) -> str:
    return next(line for line in lines if line)


@pytest.mark.parametrize(("number", "words"), [(1, "1 node"), (2, "2 nodes")])
def test_nodes_that_failed(number: int, words: str) -> None:
    causes = Causes.of(node(f"model.shop.{n}", "error") for n in range(number))
    assert report.failures_title(causes) == f"{words} did not succeed:"


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (1, "1 node skipped for it: model.shop.m0"),
        (3, "3 nodes skipped for it: model.shop.m0, model.shop.m1, model.shop.m2"),
        (40, "40 nodes skipped for it: model.shop.m0, model.shop.m1, model.shop.m2 and 37 more"),
    ],
)
def test_nodes_that_were_skipped_for_another(number: int, words: str) -> None:
    failed = node("model.shop.a", "error", message="boom")
    skipped = [node(f"model.shop.m{n}", "skipped", caused_by="model.shop.a") for n in range(number)]
    told = [*report.failures(Causes.of([failed, *skipped]))]
    assert told == ["  model.shop.a [error]", "    boom", f"    {words}"]


def test_nodes_that_were_skipped_for_an_unknown_failure() -> None:
    told = report.failures(Causes.of([node("m.a", "error"), node("m.b", "skipped")]))
    assert [*told][-1] == "  1 node skipped after this: m.b"


def test_the_slowest_nodes() -> None:
    ran = {f"model.shop.m{n}": float(n) for n in range(7)}
    told = [*report.slowest(ran, lambda _: {"model.shop.m6": 2.5})]
    assert told[:3] == [
        "The slowest 5 of 7 nodes:",
        "      6.00 s  model.shop.m6 (usually 2.50 s)",
        "      5.00 s  model.shop.m5",
    ]
    assert len(told) == 6
    assert [*report.slowest(dict([*ran.items()][:5]), lambda _: {})] == []


@pytest.mark.parametrize(("number", "words"), [(1, "1 record"), (2, "2 records")])
def test_records(number: int, words: str) -> None:
    assert report.kept(number, []) == f"relay: {words}"
    page = f"relay: {words}; a page of the run: dbt-relay report 7"
    assert report.kept(number, ["dbt-relay", "report", "7"]) == page
    delivered = f"relay: {words}, {number} delivered"
    assert [*report.delivery([figures(number, number)], "")] == [delivered]


@pytest.mark.parametrize(("number", "words"), [(1, "1 record"), (2, "2 records")])
def test_records_that_waited(number: int, words: str) -> None:
    waiting = {f"model.shop.{n}": "not yet" for n in range(number)}
    said = first(report.redelivery("run 7", waiting, figures(number, number), ""))
    assert said == f"relay: run 7: {words} delivered to airflow"


@pytest.mark.parametrize(("number", "words"), [(1, "1 event"), (2, "2 events")])
def test_events(number: int, words: str) -> None:
    torn, faulty = report.unread(number, number)
    assert torn == f"relay: could not read {words} of dbt's log, which arrived in pieces"
    assert faulty.startswith(f"relay: dbt-relay failed on {words}, so records may be missing")


@pytest.mark.parametrize(("number", "words"), [(1, "1 record is"), (2, "2 records are")])
def test_records_that_no_journal_keeps(number: int, words: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Journal(tmp_path / "file") as journal:
        run = journal.begin(info())
        for n in range(number):
            run.put(node(f"model.shop.{n}"), 0.0)
        said = first(report.leftovers(journal, ["dbt-relay", "deliver", "1"], [figures(number)]))
    assert said.startswith(f"relay: {words} in no journal: the journal in ")
