"""The checksum of a node's code: from dbt's log, before dbt 1.10 from its manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.logs import fold, log
from support.pipelines import published

from dbt_relay.parser.lineage import read_checksums

A, B = "model.shop.a", "test.shop.b"
OLD = ("1.7.20/example_debug", "1.8/build_ok_debug", "1.9.11/example_debug")


def manifest(invocation_id: str, checksums: dict[str, str]) -> bytes:
    """One in the form of dbt 1.7 to 1.9: `json.dumps` of nodes whose fields are in this order."""
    nodes = {
        u: {
            "database": "db", "name": u.rpartition(".")[2], "path": f"{u}.sql", "unique_id": u,
            "fqn": u.split(".")[1:], "alias": "x",
            "checksum": {"name": "sha256" if checksum else "none", "checksum": checksum},
            "raw_code": 'select \'"unique_id": "model.shop.z", "fqn": [], "alias": ""\'',
        }
        for u, checksum in checksums.items()
    }  # fmt: skip
    metadata = {"dbt_version": "1.9.11", "invocation_id": invocation_id}
    return json.dumps({"metadata": metadata, "nodes": nodes}).encode()


def test_cut_out_of_a_manifest() -> None:
    text = manifest("i-1", {A: "0a", B: ""})
    assert read_checksums(text, "i-1") == {A: "0a"}
    assert read_checksums(text, "i-2") == {}
    assert read_checksums(b"", "i-1") == {}
    assert read_checksums(b"\xff" * 9, "i-1") == {}


def checksums(log: bytes, target: Path) -> dict[str, str | None]:
    return {r.unique_id: r.checksum for r in published(log, target)}


@pytest.mark.parametrize("key", OLD)
def test_of_a_dbt_whose_log_has_none(key: str, tmp_path: Path) -> None:
    """From 1.8 on the log says where the manifest is."""
    text = log(key)
    (invocation,) = fold(text).run.invocations
    nodes = {u: f"of {u}" for u, node in invocation.nodes.items() if node.has_result}
    place = tmp_path
    if told := invocation.artifacts.get("manifest.json"):
        place = tmp_path / "build"
        place.mkdir()
        text = text.replace(str(Path(told).parent).encode(), str(place).encode())
    (place / "manifest.json").write_bytes(manifest(invocation.id, nodes))
    assert checksums(text, tmp_path) == nodes


@pytest.mark.parametrize("key", OLD)
def test_without_a_manifest_there_is_none(key: str, tmp_path: Path) -> None:
    assert set(checksums(log(key), tmp_path).values()) == {None}


@pytest.mark.parametrize("key", ["1.10/build_ok_debug", "1.11.16/build_ok_debug"])
def test_of_a_dbt_whose_log_has_it(key: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(b"not read")
    expected: dict[str, Any] = {}
    for line in log(key).splitlines():
        event = json.loads(line)
        if event["info"]["name"] == "NodeFinished":
            node = event["data"]["node_info"]
            if node["materialized"] != "ephemeral":
                expected[node["unique_id"]] = node["node_checksum"] or None
    found = checksums(log(key), tmp_path)
    assert {u: checksum for u, checksum in found.items() if u in expected} == expected
    assert any(expected.values())
