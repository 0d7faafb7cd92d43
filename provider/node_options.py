"""The options of each node's task: from dbt's `meta`, and from a function of the DAG's author."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from ..consumer.graph.options import task_options

if TYPE_CHECKING:
    from ..consumer.graph.node import Node

    Customize = Callable[[Node], Mapping[str, Any]]

_OF_THE_GROUP: Final = frozenset(
    {"task_id", "unique_id", "node_name", "producer_task_id", "trigger_rule"}
)
"""Keywords that the group decides. The graph would break with other values."""


def node_options(node: Node, customize: Customize | None) -> dict[str, Any]:
    """The keywords for a node's sensor. `customize` wins over dbt's `meta`.

    Raises OptionError for a bad option in `meta`, ValueError for a bad result of `customize`.
    """
    found = task_options(node)
    if customize is None:
        return found
    custom: Any = customize(node)
    if not isinstance(custom, Mapping):
        raise ValueError(
            f"customize returned {custom!r} for {node.unique_id}: it must return a dict of options"
        )
    if refused := sorted(_OF_THE_GROUP & custom.keys()):
        raise ValueError(
            f"customize returned {', '.join(refused)} for {node.unique_id}, which the group itself "
            "sets: leave it out"
        )
    return {**found, **custom}
