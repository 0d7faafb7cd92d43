"""Drives one tool over a log, in the tool's own environment, for `benchmarks/peers.py`.

    python peer_drivers.py TOOL LOG PROJECT COUNTED

Each function calls what the tool's own code calls for a dbt that it starts, and returns how often
the tool wrote to its destination.
"""

# Each environment has only its own tool.
# ruff: noqa: PLC0415

from __future__ import annotations

import json
import logging
import os
import sys
from collections import defaultdict
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any


def dagster(log: Path, project: Path) -> int:
    """As `DbtCliResource.cli` starts dbt, without a context, and as an op takes the events."""
    from dagster_dbt import DagsterDbtTranslator
    from dagster_dbt.core.dbt_cli_invocation import DbtCliInvocation
    from dagster_dbt.dbt_manifest import validate_manifest
    from packaging.version import Version

    invocation = DbtCliInvocation.run(
        args=["cat", str(log)],
        env=dict(os.environ),
        manifest=validate_manifest(project / "target" / "manifest.json"),
        dagster_dbt_translator=DagsterDbtTranslator(),
        project_dir=project,
        target_path=project / "target",
        raise_on_error=True,
        context=None,
        adapter=None,
        cli_version=Version("1.11.16"),
    )
    return sum(1 for _ in invocation.stream())


def dbt_ol(_log: Path, project: Path) -> int:
    """`dbt-ol --consume-structured-logs build`, over HTTP, which ends once the JSON is made."""
    import openlineage.dbt
    from openlineage.client.serde import Serde
    from openlineage.client.transport.http import HttpTransport

    count = 0

    def emit(_self: object, event: Any) -> None:
        nonlocal count
        count += 1
        Serde.to_json(event)

    HttpTransport.emit = emit
    os.environ["OPENLINEAGE_URL"] = "http://127.0.0.1:9"
    options = ["--project-dir", str(project), "--profiles-dir", str(project)]
    sys.argv = ["dbt-ol", "--consume-structured-logs", "build", *options]
    assert openlineage.dbt.main() == 0
    return count


def cosmos(log: Path, project: Path, *, persists: bool = True) -> int:
    """As `DbtProducerWatcherOperator.execute` and its `run_subprocess` do."""
    from cosmos.hooks.subprocess import FullOutputSubprocessHook
    from cosmos.operators._watcher import xcom
    from cosmos.operators._watcher.base import store_dbt_resource_status_from_log

    count = 0

    class Instance(SimpleNamespace):
        def xcom_push(self, key: str, value: Any) -> None:
            nonlocal count
            count += 1

        def xcom_pull(self, key: str) -> None:
            return None

    def set_variable(key: str, value: str) -> None:
        nonlocal count
        count += 1

    xcom.set_variable = set_variable
    with open(os.devnull, "w") as null:  # a task's log has a handler for all of this
        logging.basicConfig(level=logging.INFO, stream=null, force=True)
        group = SimpleNamespace(group_id=None)
        instance = Instance(dag_id="shop", task=SimpleNamespace(task_group=group))
        context = {"ti": instance, "run_id": "run"}
        xcom._init_xcom_backup(context, persist=persists)
        parse = partial(
            store_dbt_resource_status_from_log,
            tests_per_model=_tests_per_model(project),
            test_results_per_model={},
            model_outlet_uris={},
            dataset_namespace=None,
            should_generate_model_uris=False,
            upstream_failure_skipped_ids=set(),
        )
        FullOutputSubprocessHook().run_command(
            ["cat", str(log)],
            env=dict(os.environ),
            cwd=str(project),
            process_log_line=parse,
            context=context,
        )
    return count


def _tests_per_model(project: Path) -> dict[str, list[str]]:
    """The map that Cosmos makes of the project when it parses the DAG."""
    found: dict[str, list[str]] = defaultdict(list)
    manifest = json.loads((project / "target" / "manifest.json").read_bytes())
    for unique_id, node in manifest["nodes"].items():
        if node["resource_type"] == "test":
            for parent in node["depends_on"]["nodes"]:
                found[parent].append(unique_id)
    return found


DRIVERS = {
    "dagster": dagster,
    "dbt_ol": dbt_ol,
    "cosmos": cosmos,
    "cosmos_without_variable": partial(cosmos, persists=False),
}


if __name__ == "__main__":
    tool, of_log, of_project, counted = sys.argv[1:]
    Path(counted).write_text(str(DRIVERS[tool](Path(of_log), Path(of_project))))
