"""Builds on PostgreSQL: the records agree with dbt's file, and the console with plain dbt's."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from real_dbt.project import EXAMPLE, Project
from support.postgres import Postgres
from support.results import LOGGED_ANYWHERE, differences

Copy = Callable[[Path, Path], Project]

SHOP = Path(__file__).parent / "shop"
OPTIONS = ("--event-time-start", "2026-01-01", "--event-time-end", "2026-01-04")
INFO_LOG = ("--log-format-file", "json", "--log-level-file", "info")
VARYING = re.compile(r"^\d\d:\d\d:\d\d|\b\d+\.\d+ ?s(econds)?\b", re.MULTILINE)


@dataclass(frozen=True)
class Build:
    """What a build printed, its records and the results in dbt's file, by node."""

    stdout: str
    records: list[dict[str, Any]]
    results: dict[str, dict[str, Any]]

    @classmethod
    def of(cls, project: Project, *command: str) -> Build:
        done = project.relay("dbt", *command)
        assert done.returncode == 1, done.stdout + done.stderr
        return cls(done.stdout, project.records(), project.results())

    @property
    def nodes(self) -> dict[str, dict[str, Any]]:
        return {r["unique_id"]: r for r in self.records if "unique_id" in r}


@dataclass(frozen=True)
class Shop:
    """What plain dbt printed in a new schema, and two builds of the relay in another new schema.

    `logs/dbt.log` of the project has the second build at info level.
    """

    plain: str
    first: Build
    second: Build
    project: Project


@pytest.fixture(scope="module")
def shop(postgres: Postgres, copy: Copy, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A project with most of what dbt can build, some of it broken."""
    project = copy(SHOP, tmp_path_factory.mktemp("shop"))
    profiles = json.loads((project.root / "profiles.yml").read_text())
    schema = profiles["jaffle"]["outputs"]["dev"]["schema"]
    one_thread = (*OPTIONS, "--threads", "1")
    plain = project.run("dbt", "build", *one_thread, DBT_USE_COLORS="0")
    postgres.query(f"drop schema {schema} cascade")
    shutil.rmtree(project.root / "target")
    first = Build.of(project, "build", *one_thread)
    shutil.rmtree(project.root / "logs")
    second = Build.of(project, *INFO_LOG, "build", *OPTIONS)
    return Shop(plain.stdout, first, second, project)


@pytest.fixture(params=["new schema", "same schema"])
def build(shop: Shop, request: pytest.FixtureRequest) -> Build:
    return shop.first if request.param == "new schema" else shop.second


def contradictions(
    nodes: dict[str, dict[str, Any]], results: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """By node, the fields in which its record and dbt's file differ."""
    assert nodes.keys() == results.keys()
    found = {unique_id: differences(nodes[unique_id], results[unique_id]) for unique_id in nodes}
    return {unique_id: fields for unique_id, fields in found.items() if fields}


def test_the_example(copy: Copy, tmp_path: Path) -> None:
    build = Build.of(copy(EXAMPLE, tmp_path), "build")
    assert not contradictions(build.nodes, build.results)
    writes = Counter(r["unique_id"] for r in build.records if "unique_id" in r)
    assert set(writes.values()) == {1}
    *_, run = build.records
    assert (run["state"], run["exit_code"]) == ("finished", 1)
    assert run["nodes"] == {"success": 21, "failure": 2, "skipped": 1}


def test_each_record_agrees_with_run_results(build: Build) -> None:
    assert not contradictions(build.nodes, build.results)


def test_a_hook_that_succeeded_is_a_success(build: Build) -> None:
    hooks = [n for n in build.nodes.values() if n["resource_type"] == "operation"]
    assert [hook["outcome"] for hook in hooks] == ["success"] * 3


def test_the_databases_answers(shop: Shop) -> None:
    """The second build inserts, merges and refreshes where the first created."""

    def answers(build: Build) -> list[str]:
        names = ("model.shop.appended", "model.shop.merged", "model.shop.refreshed")
        assert {build.nodes[name]["outcome"] for name in names} == {"success"}
        return [build.nodes[name]["message"] for name in names]

    assert answers(shop.first) == ["SELECT 1", "SELECT 1", "SELECT 3"]
    assert answers(shop.second) == ["INSERT 0 1", "MERGE 1", "REFRESH MATERIALIZED VIEW"]


def test_a_log_at_info_level_says_the_same(shop: Shop) -> None:
    done = shop.project.run("dbt-relay", "replay", "--sink", "jsonl:-", "logs/dbt.log")
    assert done.returncode == 0, done.stderr
    records = map(json.loads, done.stdout.splitlines())
    nodes = {r["unique_id"]: r for r in records if "unique_id" in r}
    found = contradictions(nodes, shop.second.results)
    assert not {u for u, fields in found.items() if fields.keys() & {*LOGGED_ANYWHERE}}


def test_the_console_is_plain_dbts(shop: Shop) -> None:
    plain = VARYING.sub("", shop.plain).splitlines()
    relayed = VARYING.sub("", shop.first.stdout).splitlines()
    assert relayed[: len(plain)] == plain
    assert relayed[len(plain) :][:2] == ["", "7 nodes did not succeed:"]
