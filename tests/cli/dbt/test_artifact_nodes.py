"""Single nodes of a manifest, whose compiled code is next to it."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from support.records import node as record

from dbt_relay.cli.dbt.artifact_nodes import ArtifactNodes, TargetFolder
from dbt_relay.parser import Secrets

ID = "01890000-0000-7000-8000-000000000001"
NODES: dict[str, Any] = {
    "model.shop.a": {
        "unique_id": "model.shop.a",
        "raw_code": 'select "}" as b, \'{\\"x\\": {\' -- \\\\',
        "package_name": "shop",
        "original_file_path": "models/a.sql",
        "path": "a.sql",
        "meta": {"nested": {"deep": {}}},
    },
    "test.shop.t.1": {
        "package_name": "shop",
        "original_file_path": "models/schema.yml",
        "path": "t.sql",
        "name": "t",
    },
    "model.shop.ä": {"name": "ä"},
}
STARTED, FINISHED = "2026-01-02T03:04:05Z", "2026-01-02T03:04:15Z"


def manifest(separators: tuple[str, str] = (", ", ": "), invocation_id: str = ID) -> bytes:
    content: dict[str, Any] = {
        "metadata": {"invocation_id": invocation_id},
        "nodes": NODES,
        "sources": {"source.shop.raw.x": {"name": "x"}},
        "parent_map": {"model.shop.a": ["source.shop.raw.x"]},
        "disabled": {"model.shop.a": [{"name": "disabled"}]},
    }
    return json.dumps(content, separators=separators, ensure_ascii=False).encode()


@pytest.mark.parametrize("separators", [(", ", ": "), (",", ":")])
def test_each_node_is_found(separators: tuple[str, str]) -> None:
    nodes = ArtifactNodes(manifest(separators))
    for unique_id, expected in NODES.items():
        assert nodes.node(unique_id) == expected
    assert nodes.node("source.shop.raw.x") == {"name": "x"}
    assert nodes.node("model.shop.b") is None


@pytest.mark.parametrize("size", range(0, 700, 23))
def test_half_a_file_has_whole_nodes_or_none(size: int) -> None:
    nodes = ArtifactNodes(manifest()[:size])
    for unique_id, expected in NODES.items():
        assert nodes.node(unique_id) in (expected, None)


class Target:
    def __init__(self, folder: Path) -> None:
        self.path = folder
        self.write()

    def write(self, invocation_id: str = ID) -> None:
        (self.path / "manifest.json").write_bytes(manifest(invocation_id=invocation_id))

    def compile(self, name: str, text: str, at: str = "2026-01-02T03:04:10Z") -> None:
        path = self.path / "compiled/shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        when = datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()
        os.utime(path, (when, when))

    def opened(self, *secrets: str) -> TargetFolder:
        return TargetFolder(lambda: str(self.path), Secrets(secrets))


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target(tmp_path)


def sql(target: Target, unique_id: str = "model.shop.a", *secrets: str) -> str | None:
    ran = record(unique_id, started_at=STARTED, finished_at=FINISHED)
    return target.opened(*secrets).sql(ran, NODES[unique_id])


def test_the_manifest_of_another_invocation_counts_as_absent(target: Target) -> None:
    folder = target.opened()
    assert folder.node("other", "model.shop.a") is None
    assert folder.node(None, "model.shop.a") is None
    assert folder.node(ID, "model.shop.a") is not None
    target.write("other")
    assert folder.node(ID, "model.shop.a") is not None, "read once"
    assert folder.node("other", "model.shop.a") is not None
    assert target.opened().node(ID, "model.shop.a") is None


def test_a_manifest_may_come_later(target: Target) -> None:
    (target.path / "manifest.json").unlink()
    folder = target.opened()
    assert folder.node(ID, "model.shop.a") is None
    target.write()
    assert folder.node(ID, "model.shop.a") is not None
    assert TargetFolder(lambda: None, Secrets()).node(ID, "model.shop.a") is None


def test_the_code_that_ran(target: Target) -> None:
    target.compile("models/a.sql", "\nselect 1\n")
    target.compile("models/schema.yml/t.sql", "select 2")
    assert sql(target) == "select 1"
    assert sql(target, "test.shop.t.1") == "select 2"
    ran = record("model.shop.a", started_at=STARTED, finished_at=FINISHED)
    compiled = {**NODES["model.shop.a"], "compiled_code": "\nselect 3\n"}
    assert target.opened().sql(ran, compiled) == "select 1"
    assert target.opened().sql(replace(ran, dbt_version="2.0.0"), compiled) == "select 3"


@pytest.mark.parametrize("at", ["2026-01-02T03:04:02Z", "2026-01-02T03:04:18Z"])
def test_code_of_another_run_is_not_told(target: Target, at: str) -> None:
    target.compile("models/a.sql", "select 1", at)
    assert sql(target) is None


def test_no_file_outside_the_compiled_code_is_read(target: Target) -> None:
    (target.path / "secret.sql").write_text("select 'secret'")
    about = {
        **NODES["model.shop.a"],
        "original_file_path": "../../secret.sql",
        "path": "secret.sql",
    }
    now = datetime.now(timezone.utc).isoformat()
    ran = record("model.shop.a", started_at=now, finished_at=now)
    assert target.opened().sql(ran, about) is None


def test_secrets_are_masked(target: Target) -> None:
    target.compile("models/a.sql", "select 'hunter22'")
    assert sql(target, "model.shop.a", "hunter22") == "select '*****'"
    found = target.opened("nested").node(ID, "model.shop.a")
    assert found is not None
    assert found["meta"] == {"*****": {"deep": {}}}


def test_the_catalog_is_of_whichever_invocation(target: Target) -> None:
    assert target.opened().catalog("model.shop.a") is None
    (target.path / "catalog.json").write_bytes(manifest(invocation_id="older"))
    assert target.opened().catalog("model.shop.a") == NODES["model.shop.a"]
