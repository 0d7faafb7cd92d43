"""The ids of a group's tasks, and the groups in it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set

    from .node import Node

GroupBy = Literal["folder"]

TEST: Final = ".test"
_NOT_IN_AN_ID: Final = re.compile(r"[^A-Za-z0-9_-]+")
_DIGEST: Final = 8
_LONGEST_GROUP: Final = 200
"""Characters of a group's own name in Airflow."""
_ROOM: Final = 64
"""Characters that the folders in an id leave for the name."""
_SPARE: Final = 4
"""Characters that a folder may get in addition."""


class TaskIdError(ValueError):
    """A task_id that Airflow refuses, or two nodes with the same one."""


@dataclass(frozen=True, slots=True)
class Place:
    """The groups of a task, the outer first, and its name in the inner one."""

    groups: tuple[str, ...]
    name: str

    @property
    def task_id(self) -> str:
        return ".".join((*self.groups, self.name))

    def divided(self, *, into_group: bool = False) -> tuple[Place, Place]:
        """The places of a node and of its tests: `a` and `a.test`, or in a group `a` of their own
        `a.run` and `a.test`."""
        if into_group and len(self.name) <= _LONGEST_GROUP:
            own = (*self.groups, self.name)
            return Place(own, "run"), Place(own, TEST[1:])
        return self, Place(self.groups, self.name + TEST)


def places(
    nodes: Sequence[Node],
    project: str | None,
    taken: Set[str],
    longest: int,
    *,
    group_by: GroupBy | None = None,
    task_id: Callable[[Node], str] | None = None,
) -> dict[str, Place]:
    """The places by unique_id, with names that a person recognises: `orders`, `orders_v2`.

    With `group_by="folder"` the groups are the folders of a node below its folder of models, seeds
    or snapshots. Another package than the root `project` is a group with its folders in it. Without
    `task_id`, which gives the name of a node, two nodes of a group may have the same name: the node
    of the root project keeps it, and the other gets its package as a prefix. `taken` has names
    outside all groups that are no node's, `longest` is the limit for a task_id. Raises TaskIdError.
    """
    groups = {
        node.unique_id: _fitting(_folders(node, project), longest) if group_by else ()
        for node in nodes
    }
    used: dict[tuple[str, ...], dict[str, str]] = {(): dict.fromkeys(taken, "the group itself")}
    found: dict[str, Place] = {}
    for node in sorted(nodes, key=lambda node: node.package_name != project):
        group = groups[node.unique_id]
        in_group = used.setdefault(group, {})
        room = longest - _length(group)
        if task_id is None:
            name = _free_name(node, in_group, room)
        else:
            name = _checked(task_id(node), node, in_group, room)
        in_group[name] = node.unique_id
        found[node.unique_id] = Place(group, name)
    new = _new_names(groups.values(), used)
    return {
        u: Place(tuple(new[p.groups[: n + 1]] for n in range(len(p.groups))), p.name)
        for u, p in found.items()
    }


def _folders(node: Node, project: str | None) -> tuple[str, ...]:
    folders = node.fqn[1:-1]
    if node.version is not None or node.resource_type == "source":
        folders = folders[:-1]  # the name of a model before its version, the name of a source
    elif node.resource_type == "snapshot" and node.path.endswith(".sql"):
        folders = folders[:-1]  # the name of the file
    package = () if project in (None, node.package_name) else (node.package_name,)
    return tuple(map(_clean, (*package, *folders)))


def _fitting(groups: tuple[str, ...], longest: int) -> tuple[str, ...]:
    """The outer groups that leave room for a name."""
    while groups and longest - _length(groups) < _ROOM:
        groups = groups[:-1]
    return groups


def _length(groups: tuple[str, ...]) -> int:
    """The characters that groups take of an id, perhaps with new names."""
    return sum(len(name) + 1 + _SPARE for name in groups)


def _new_names(
    groups: Iterable[tuple[str, ...]], used: Mapping[tuple[str, ...], Collection[str]]
) -> dict[tuple[str, ...], str]:
    """The name of each group, with a sign at its end if a task beside the group has the name."""
    every = {group[:depth] for group in groups for depth in range(1, len(group) + 1)}
    found: dict[tuple[str, ...], str] = {}
    for group in sorted(every):
        outer, new = group[:-1], group[-1]
        while new in used.get(outer, ()) or (new != group[-1] and (*outer, new) in every):
            new += "_"
        every.add((*outer, new))
        found[group] = new
    return found


def _free_name(node: Node, used: Mapping[str, str], longest: int) -> str:
    version = "" if node.version is None else f"_v{node.version}"
    table_of = f"{node.source_name}_" if node.resource_type == "source" else ""
    name = _clean(f"{table_of}{node.name}{version}")
    names: Iterable[str] = (name, f"{_clean(node.package_name)}_{name}", _clean(node.unique_id))
    if len(name) <= longest:
        for one in names:
            if one not in used and len(one) <= longest:
                return one
    return _digested(name, node.unique_id, longest)


def _checked(name: object, node: Node, used: Mapping[str, str], longest: int) -> str:
    """The name that the DAG's author gave."""
    if not isinstance(name, str) or not name or _NOT_IN_AN_ID.search(name):
        raise TaskIdError(
            f"task_id gave {name!r} for {node.unique_id}: it must return letters, digits, _ and -"
        )
    if len(name) > longest:
        raise TaskIdError(
            f"task_id gave {name[:40]}… for {node.unique_id}, which has {len(name)} characters: "
            f"{longest} fit"
        )
    if name in used:
        raise TaskIdError(
            f"task_id gave {name!r} for {node.unique_id}, and {used[name]} has that name already"
        )
    return name


def _digested(name: str, unique_id: str, longest: int) -> str:
    """The beginning of a name that is too long or taken, with a digest that makes it unique."""
    digest = hashlib.sha256(unique_id.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    return f"{name[: max(0, longest - _DIGEST - 1)]}_{digest}"


def _clean(name: str) -> str:
    return _NOT_IN_AN_ID.sub("_", name)
