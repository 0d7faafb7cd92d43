"""The options of each node's task: from dbt's `meta`, and from functions of the DAG's author."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ..consumer.graph.description import describe
from ..consumer.graph.ids import TEST
from ..consumer.graph.options import task_options

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..consumer.graph.node import Node
    from ..consumer.graph.plan import NodeTask

    Outlets = Callable[[Node], Iterable[Any]]
    DisplayName = Callable[[Node], str]
    Customize = Callable[[Node], Mapping[str, Any]]

_NAME: Final = "task_display_name"
_OF_THE_GROUP: Final = frozenset(
    {"task_id", "unique_id", "node_name", "producer_task_id", "trigger_rule"}
)
"""Keywords that the group decides. The graph would break with other values."""


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """The functions that the DAG's author gave."""

    outlets: Outlets | None = None
    display_name: DisplayName | None = None
    customize: Customize | None = None

    def of(self, task: NodeTask) -> dict[str, Any]:
        """The keywords for the sensor of a task. The functions win over dbt's `meta`.

        The task of a node and the task of its tests have the same keywords, except for the outlets
        and for an ending of the displayed name. Raises OptionError for a bad option in `meta`,
        ValueError for a bad result of a function.
        """
        node = task.node
        found = {"doc_md": describe(task), **task_options(node)}
        if self.outlets is not None and not (task.is_test or task.is_check):
            found["outlets"] = list(self.outlets(node))
        if self.display_name is not None:
            found[_NAME] = self.display_name(node)
        if self.customize is not None:
            found |= _custom(node, self.customize)
        if (name := found.get(_NAME)) is None:
            return found
        if not isinstance(name, str) or not name:
            raise ValueError(
                f"the name to show for {node.unique_id} is {name!r}: it must be a text"
            )
        return {**found, _NAME: f"{name}{TEST}"} if task.is_test else found


def _custom(node: Node, customize: Customize) -> dict[str, Any]:
    found: Any = customize(node)
    if not isinstance(found, Mapping):
        raise ValueError(
            f"customize returned {found!r} for {node.unique_id}: it must return a dict of options"
        )
    if refused := sorted(_OF_THE_GROUP & found.keys()):
        raise ValueError(
            f"customize returned {', '.join(refused)} for {node.unique_id}, which the group itself "
            "sets: leave it out"
        )
    return {**found}
