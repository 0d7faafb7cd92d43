"""Manifests of a few nodes."""

from __future__ import annotations

from typing import Any

METADATA = {
    "dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v12.json",
    "project_name": "p",
    "dbt_version": "1.11.0",
}


def node(unique_id: str, *parents: str, **fields: Any) -> dict[str, Any]:
    """A node of the package in its unique_id, with these parents."""
    kind, package, name = unique_id.split(".")[:3]
    return {
        "unique_id": unique_id,
        "resource_type": kind,
        "name": name,
        "package_name": package,
        "original_file_path": f"{kind}s/{name}.sql",
        "fqn": [package, name],
        "raw_code": "select 1",
        "config": {"materialized": "table" if kind == "model" else kind},
        "depends_on": {"nodes": list(parents)},
        **fields,
    }


def document(*nodes: dict[str, Any], **sections: Any) -> dict[str, Any]:
    """The JSON of a manifest with these nodes."""
    return {"metadata": METADATA, "nodes": {n["unique_id"]: n for n in nodes}, **sections}
