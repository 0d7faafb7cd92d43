"""A dbt project that people work on, and the warehouse that it is built in."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

Content = tuple[Any, ...]


@dataclass(frozen=True)
class Node:
    """A model, or a generic test of one: those have no code of their own."""

    name: str
    parents: tuple[str, ...] = ()
    code: int = 0
    is_test: bool = False
    is_daily: bool = True

    @property
    def unique_id(self) -> str:
        return f"{'test' if self.is_test else 'model'}.shop.{self.name}"

    @property
    def checksum(self) -> str:
        return "" if self.is_test else f"{self.code}:{','.join(self.parents)}"


@dataclass
class Project:
    nodes: dict[str, Node] = field(default_factory=dict)
    made: int = 0
    rewritten: str = ""

    @classmethod
    def any(cls, rng: random.Random) -> Project:
        project = cls()
        for _ in range(rng.randint(2, 7)):
            project.add(rng)
        return project

    def in_order(self) -> list[Node]:
        """Parents first, and a model's tests before what is below it."""
        found: dict[str, Node] = {}

        def visit(node: Node) -> None:
            for parent in node.parents:
                visit(self.nodes[parent])
            found.setdefault(node.name, node)
            if not node.is_test:
                for test in self.nodes.values():
                    if test.is_test and node.name in test.parents:
                        found.setdefault(test.name, test)

        for node in self.nodes.values():
            visit(node)
        return [*found.values()]

    def content(self, name: str) -> Content:
        """What a table holds that is built of the project as it is now."""
        node = self.nodes[name]
        return (node.code, *(self.content(p) for p in node.parents))

    def add(self, rng: random.Random) -> None:
        """A new model, with or without a test, sometimes before one that is there."""
        self.made += 1
        models = [n.name for n in self.nodes.values() if not n.is_test and n.is_daily]
        parents = rng.sample(models, min(len(models), rng.randint(0, 2)))
        node = Node(f"n{self.made}", tuple(parents), is_daily=rng.random() < 0.85)
        self.nodes[node.name] = node
        if rng.random() < 0.4:
            test = Node(f"of_{node.name}", (node.name,), is_test=True, is_daily=node.is_daily)
            self.nodes[test.name] = test
        roots = [n for n in models if not self.nodes[n].parents]
        if roots and not parents and node.is_daily and rng.random() < 0.3:
            child = self.nodes[rng.choice(roots)]
            self.nodes[child.name] = replace(child, parents=(node.name,))

    def edit(self, rng: random.Random) -> None:
        """What a person does between two attempts."""
        models = [n for n in self.nodes.values() if not n.is_test and n.is_daily]
        if not models or rng.random() < 0.25:
            return self.add(rng)
        node = rng.choice(models)
        way = rng.choice(["code", "code", "code", "rename", "delete", "tag"])
        if way == "code":
            self.rewrite(node if rng.random() < 0.4 else self.nodes.get(self.rewritten, node))
        elif way == "rename":
            self.made += 1
            self._forget(node.name, f"r{self.made}")
        elif way == "delete":
            self._forget(node.name, None)
        else:
            self._tag(rng)
        return None

    def rewrite(self, node: Node | None = None) -> None:
        """Other code; or what was there before, as when a commit is reverted."""
        node = node or self.nodes.get(self.rewritten) or next(iter(self.nodes.values()))
        self.rewritten = node.name
        self.nodes[node.name] = replace(node, code=(node.code + 1) % 2)

    def _forget(self, name: str, new: str | None) -> None:
        """A model is gone, or has another name: so have its tests, and others refer to it so."""
        node = self.nodes.pop(name)
        if new is not None:
            self.nodes[new] = replace(node, name=new)
        for other in [*self.nodes.values()]:
            if name not in other.parents:
                continue
            if other.is_test:
                del self.nodes[other.name]
                if new is not None:
                    self.nodes[f"of_{new}"] = replace(other, name=f"of_{new}", parents=(new,))
            else:
                parents = (new if p == name else p for p in other.parents)
                kept = tuple(p for p in parents if p is not None)
                self.nodes[other.name] = replace(other, parents=kept)

    def _tag(self, rng: random.Random) -> None:
        """A model that no other needs becomes one that is selected, or is one no more."""
        needed = {p for n in self.nodes.values() for p in n.parents}
        leaves = [n for n in self.nodes.values() if not n.is_test and n.name not in needed]
        if leaves:
            node = rng.choice(leaves)
            self.nodes[node.name] = replace(node, is_daily=not node.is_daily)


@dataclass(frozen=True)
class Built:
    """A node as it was last built: in which run of the task, and of what."""

    by: Any
    content: Content


Warehouse = dict[tuple[str, str], Built]
"""By target and name."""


def listed(nodes: list[Node]) -> str:
    """What `dbt ls` prints of them."""
    return "\n".join(
        json.dumps(
            {
                "unique_id": n.unique_id,
                "fqn": ["shop", n.name],
                "depends_on": {"nodes": [f"model.shop.{p}" for p in n.parents]},
                "config": {"materialized": "test" if n.is_test else "table"},
                "checksum": {"name": "none" if n.is_test else "sha256", "checksum": n.checksum},
            }
        )
        for n in nodes
    )
