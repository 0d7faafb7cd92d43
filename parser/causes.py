"""Why nodes were skipped: the failures of one invocation, and who depends on whom."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ..records.age import sortable_time
from .lineage import Blame

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .buffer import Node
    from .lineage import Lineage

_EPHEMERAL: Final = re.compile(r"error in referenced ephemeral model (\S+)")
_HOOK: Final = re.compile(r"-on-run-(start|end)-\d+$")


class Causes:
    """Finds the node that made dbt skip another. Takes the ends of nodes in the order of the log.

    Each answer costs the same, however many nodes have failed: what is known of a node that lies
    between is kept. So an answer may lack a failure that came late (dbt v2 skips a node without
    waiting for the others before it); `settle` has the last word.
    """

    def __init__(self) -> None:
        self._lineage: Lineage | None = None
        self._blame: Blame | None = None
        self._failed: dict[str, str] = {}
        self._first: list[tuple[str, str]] | None = []
        self._hooks: dict[str, str] = {}
        self._skipped: set[str] = set()

    def trace(self, lineage: Lineage) -> None:
        """From now on several failures can be told apart."""
        self._lineage, self._blame = lineage, None

    def learn(self, node: Node) -> None:
        """A node has ended, or ended otherwise than was said before."""
        unique_id = node.unique_id
        if _is_skip(node):
            self._skipped.add(unique_id)
        has_failed = node.outcome == "failure"
        if has_failed == (unique_id in self._failed):
            return
        if not has_failed:
            del self._failed[unique_id]
            self._blame = self._first = None
            return
        kind = hook_kind(unique_id)
        if kind is not None:
            self._hooks.setdefault(kind, unique_id)
            return
        self._failed[unique_id] = _end_of(node)
        if self._first is not None:
            self._first = sorted([*self._first, (self._failed[unique_id], unique_id)])[:2]
        if self._blame is not None:
            self._blame.add(unique_id)

    def of(self, skipped: Node) -> str | None:
        """The failed node that a skipped one is skipped for; None if several may be.

        dbt's log names no parents. Without a manifest only a single failure is beyond doubt.
        """
        kind = hook_kind(skipped.unique_id)
        if kind is not None:
            return self._hooks.get(kind)
        # What dbt names may itself be skipped for another.
        named = _EPHEMERAL.search(skipped.facts.get("message") or "")
        if named is not None and named[1] not in self._skipped:
            return named[1]
        # dbt does not even begin a node after a failed hook (skip_nodes_if_on_run_start_fails),
        # while it begins, and ends, those that it skips for a failed node.
        if (
            "start" in self._hooks
            and not skipped.has_begun
            and skipped.facts.get("skip_cause") != "fail_fast"
        ):
            return self._hooks["start"]
        if self._lineage is None:
            return self._only(_end_of(skipped))
        if self._blame is None:
            self._blame = Blame(self._lineage, self._failed)
        return self._blame.of(skipped.unique_id)

    def settle(self, nodes: Iterable[Node]) -> list[Node]:
        """Give every skipped node of the invocation its cause; returns the skipped nodes.

        By the time at which each node ended, since the log of several threads has no order of its
        own; where that says nothing, any failure before the node counts.
        """
        ended = [n for n in nodes if n.is_terminal and n.outcome in ("failure", "skipped")]
        if not any(map(_is_skip, ended)):
            return []
        ended.sort(key=lambda n: (_end_of(n), _is_skip(n)))
        self._blame, self._failed, self._first, self._hooks = None, {}, [], {}
        self._skipped = {n.unique_id for n in ended if _is_skip(n)}
        skipped: list[Node] = []
        for node in ended:
            if _is_skip(node):
                skipped.append(node)
                node.caused_by = self.of(node) if self._lineage is not None else None
            self.learn(node)
        self._blame = None
        for node in skipped:
            node.caused_by = node.caused_by or self.of(node)
        return skipped

    def _only(self, ended: str) -> str | None:
        """The one failure before this time, or the one that there is at all."""
        if self._first is None:
            self._first = sorted((at, unique_id) for unique_id, at in self._failed.items())[:2]
        before = [failed for at, failed in self._first if at <= ended]
        if not before and len(self._failed) == 1:
            return next(iter(self._failed))
        return before[0] if len(before) == 1 else None


def hook_kind(unique_id: str) -> str | None:
    """`start` or `end` for a hook that runs before or after all nodes."""
    found = _HOOK.search(unique_id) if unique_id.startswith("operation.") else None
    return found[1] if found is not None else None


def _is_skip(node: Node) -> bool:
    return node.status == "skipped"


def _end_of(node: Node) -> str:
    """When it ended; what is not known may be before a skip, and after a failure."""
    return sortable_time(node.ended_at or ("9" if _is_skip(node) else ""))
