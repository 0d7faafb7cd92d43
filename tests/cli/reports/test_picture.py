"""What a report says of a run, whatever its format."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from support.projects import Project
from support.records import node

from dbt_relay.cli.reports.picture import LATER_GRAPH, NO_GRAPH

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from dbt_relay.cli.reports.picture import Picture


def test_the_graph_is_of_the_manifest_in_the_target_folder(drawn: Callable[..., Picture]) -> None:
    project = Project(60)
    found = drawn(project.records(), project=project)
    assert found.remark is None
    assert {u: list(p) for u, p in found.parents.items()} == project.parents
    path = found.critical_path
    assert len(path) > 1
    assert all(before in found.order[after] for before, after in pairwise(path))


def test_without_a_manifest_the_report_says_so(drawn: Callable[..., Picture]) -> None:
    found = drawn(Project(6).records())
    assert (found.parents, found.critical_path, found.remark) == ({}, [], NO_GRAPH)


def test_the_manifest_of_a_later_run_serves_and_the_report_says_so(
    drawn: Callable[..., Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project(6)
    records = project.records()
    monkeypatch.setattr("support.projects.INVOCATION", "another")
    found = drawn(records, project=project)
    assert found.parents
    assert found.remark == LATER_GRAPH


def test_it_is_compared_with_the_latest_finished_run_of_the_same_command(
    drawn: Callable[..., Picture],
) -> None:
    found = drawn([node("model.a.old")], [node("model.a.before")], [node("model.a.now")])
    assert found.earlier is not None
    assert found.earlier.number == 2
    assert found.comparison is not None
    assert found.comparison.gone == ("model.a.before",)


def test_a_first_run_has_nothing_to_compare_with(drawn: Callable[..., Picture]) -> None:
    assert drawn([node("model.a.now")]).comparison is None
