"""What a command in a task is told of OpenLineage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provider import own_environ, printed

SCRIPT = """
import json, sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

NAME = "airflow.providers.openlineage"
case = sys.argv[1]

def module(name, **members):
    made = sys.modules[name] = ModuleType(name)
    made.__spec__, made.__path__ = ModuleSpec(name, None, is_package=True), []
    made.__dict__.update(members)
    return made

if case != "no provider":
    # The tests' Airflow does not have the real one.
    macros = module(f"{NAME}.plugins.macros") if case == "broken" else module(
        f"{NAME}.plugins.macros",
        lineage_parent_id=lambda task: f"parent of {task.task_id}",
        lineage_root_parent_id=lambda task: f"root of {task.task_id}",
    )
    conf = module(f"{NAME}.conf", is_disabled=lambda: case == "disabled")
    module(NAME, conf=conf)
    module(f"{NAME}.plugins", macros=macros)

from dbt_relay.provider.lineage import lineage_variables
print(json.dumps(lineage_variables({"ti": SimpleNamespace(task_id="dbt")})))
"""


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ("no provider", {}),
        ("disabled", {}),
        ("broken", {}),
        (
            "enabled",
            {
                "OPENLINEAGE_PARENT_ID": "parent of dbt",
                "OPENLINEAGE_ROOT_PARENT_ID": "root of dbt",
            },
        ),
    ],
)
def test_the_provider_names_the_task(tmp_path: Path, case: str, told: dict[str, Any]) -> None:
    assert printed(["-c", SCRIPT, case], own_environ(tmp_path)) == told
