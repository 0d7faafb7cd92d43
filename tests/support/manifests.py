"""Makes tests/consumer/graph/manifest.json: the parts of a manifest that the consumer reads.

    python tests/support/manifests.py target/manifest.json > tests/consumer/graph/manifest.json

The project is tests/consumer/graph/bazaar, with examples/jaffle in its dbt_packages/ and jaffle's
profile, parsed by dbt 1.11.16 on DuckDB. manifest_v2.json is dbt v2's, of the project as
tests/real_dbt/bazaar_v2.py changes it. tests/real_dbt/test_selection.py and test_selection_v2.py
make the manifests anew and compare them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

BAZAAR = Path(__file__).parents[1] / "consumer" / "graph" / "bazaar"
FIXTURE = BAZAAR.with_name("manifest.json")
FIXTURE_V2 = BAZAAR.with_name("manifest_v2.json")
SECTIONS = (
    "nodes", "sources", "exposures", "metrics", "semantic_models", "saved_queries", "unit_tests",
    "functions",
)  # fmt: skip
FIELDS = (
    "resource_type", "name", "package_name", "original_file_path", "fqn", "tags", "version",
    "latest_version", "access", "group", "path", "relation_name", "patch_path", "attached_node",
    "source_name",
)  # fmt: skip
CONFIG = (
    "enabled", "materialized", "tags", "meta", "group", "severity", "contract", "schema",
    "target_schema", "strategy",
)  # fmt: skip


def reduced(manifest: dict[str, Any]) -> dict[str, Any]:
    metadata = ("dbt_schema_version", "dbt_version", "project_name")
    sections = {s: {u: _node(n) for u, n in sorted(manifest[s].items())} for s in SECTIONS}
    groups = {u: {key: g[key] for key in ("name", "owner")} for u, g in manifest["groups"].items()}
    return {
        "metadata": {key: manifest["metadata"][key] for key in metadata},
        **sections,
        "groups": dict(sorted(groups.items())),
        "selectors": manifest["selectors"],
    }


def _node(node: dict[str, Any]) -> dict[str, Any]:
    config = node.get("config", {})
    code = node.get("raw_code")
    return {
        **{key: node[key] for key in FIELDS if node.get(key) is not None},
        **({} if code is None else {"raw_code": code.strip()[:8]}),
        **({"test_metadata": {"name": t["name"]}} if (t := node.get("test_metadata")) else {}),
        "depends_on": {"nodes": node.get("depends_on", {}).get("nodes", [])},
        "config": {key: config[key] for key in CONFIG if config.get(key) not in (None, [], {})},
    }


if __name__ == "__main__":
    whole = json.loads(Path(sys.argv[1]).read_bytes())
    lines = [f'"metadata": {json.dumps(reduced(whole)["metadata"])}']
    for section, nodes in reduced(whole).items():
        if section != "metadata":
            inner = ",\n".join(f"{json.dumps(u)}: {json.dumps(n)}" for u, n in nodes.items())
            lines.append(f'"{section}": {{\n{inner}\n}}')
    print("{" + ",\n".join(lines) + "}")
