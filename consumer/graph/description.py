"""A text about a task's nodes, for a person who reads Airflow's pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .node import Node
    from .plan import NodeTask

_LONGEST: Final = 500
"""Characters of dbt's description. Every page of the DAG loads the texts of all its tasks."""
_MOST_TESTS: Final = 20
_UNIT_TEST_NAME: Final = re.compile(r"[^.]+(?:\.v\d+)?$")


def describe(task: NodeTask) -> str:
    """Markdown on the node of a task, with the tests that the task waits for."""
    tests = [_name(unique_id) for unique_id in task.unique_ids if unique_id != task.node.unique_id]
    what = "Tests of " if task.is_test else "Freshness of " if task.is_check else ""
    parts = [f"{what}{_facts(task.node)}"]
    if task.node.description and not task.is_test:
        parts.append(_shortened(task.node.description.strip()))
    if tests:
        lines = [f"- `{name}`" for name in tests[:_MOST_TESTS]]
        if len(tests) > _MOST_TESTS:
            lines.append(f"- and {len(tests) - _MOST_TESTS} more")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _facts(node: Node) -> str:
    return ", ".join(_each_fact(node))


def _each_fact(node: Node) -> Iterator[str]:
    yield f"{node.resource_type} `{node.unique_id.split('.', 1)[1]}`"
    if node.materialized not in (None, node.resource_type):
        yield f"{node.materialized}"
    if node.relation_name:
        yield f"`{node.relation_name}`"
    yield f"in `{node.path}`"
    if node.owner:
        yield f"owner {node.owner}"


def _name(unique_id: str) -> str:
    """The name in the unique_id of a test, without the digest of a generic test.

    The id of a unit test has the model before the name, and in dbt v2 a version `.v2` behind it.
    """
    if unique_id.startswith("test."):
        return unique_id.split(".")[2]
    return "".join(_UNIT_TEST_NAME.findall(unique_id))


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1].rstrip()}…"
