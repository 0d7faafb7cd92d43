"""What a DAG of 2,000 nodes costs the DAG processor each time it is parsed.

    .venv-airflow/bin/python benchmarks/task_group.py [NODES]

The manifest is made here: models in layers, each on two others, with two tests and 4 KB of code, as
real ones have. Timed is all of `dbt_task_group`, from the file to the tasks, in CPU seconds.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson
from airflow.sdk import DAG

from dbt_relay.consumer.graph.manifest import Manifest
from dbt_relay.provider import dbt_task_group

RUNS = 5
SCHEMA = "https://schemas.getdbt.com/dbt/manifest/v12.json"
CODE = "select column_of_some_length from a_table_of_some_name\n" * 75


def node(unique_id: str, parents: list[str], **fields: Any) -> dict[str, Any]:
    kind, package, name = unique_id.split(".")[:3]
    return {
        "unique_id": unique_id,
        "resource_type": kind,
        "name": name,
        "package_name": package,
        "original_file_path": f"models/{name}.sql",
        "fqn": [package, "marts", name],
        "tags": ["daily"],
        "config": {"materialized": "table", "tags": ["daily"], "enabled": True},
        "depends_on": {"nodes": parents, "macros": []},
        "raw_code": CODE,
        **fields,
    }


def manifest(nodes: int) -> bytes:
    found: dict[str, Any] = {}
    models: list[str] = []
    dice = random.Random(0)
    for i in range(nodes):
        unique_id = f"model.big.model_{i:05d}"
        parents = dice.sample(models[-200:], 2) if i >= 100 else []
        found[unique_id] = node(unique_id, parents)
        models.append(unique_id)
        for test in ("unique", "not_null"):
            test_id = f"test.big.{test}_{i:05d}.{i:010x}"
            found[test_id] = node(test_id, [unique_id], attached_node=unique_id)
    metadata = {"dbt_schema_version": SCHEMA, "dbt_version": "1.11.16", "project_name": "big"}
    return orjson.dumps({"metadata": metadata, "nodes": found})


def seconds(work: Any) -> float:
    """The median of RUNS."""
    taken: list[float] = []
    for _ in range(RUNS):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def main() -> None:
    nodes = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "manifest.json"
        path.write_bytes(manifest(nodes))

        def group(**options: Any) -> None:
            with DAG("benchmark", schedule=None):
                dbt_task_group(manifest=path, producer="dbt-relay run -- dbt build", **options)

        print(
            f"{nodes} models, {2 * nodes} tests, a manifest of {path.stat().st_size / 1e6:.0f} MB"
        )
        print(f"reading the manifest          {seconds(lambda: Manifest.read(path)):6.2f} s")
        for tests in ("none", "node", "task"):
            print(
                f"the group, tests={tests!r:8}     {seconds(lambda t=tests: group(tests=t)):6.2f} s"
            )
        chosen = seconds(lambda: group(select="tag:daily,+model_01500+", tests="none"))
        print(f"the group, a part of it       {chosen:6.2f} s")


if __name__ == "__main__":
    main()
