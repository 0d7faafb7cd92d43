"""Which failed node caused each skip of one invocation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from ..records.age import sortable_time
from .failed_ancestors import FailedAncestors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .buffer import NodeBuffer
    from .lineage import Lineage

_EPHEMERAL: Final = re.compile(r"error in referenced ephemeral model (\S+)")
_HOOK: Final = re.compile(r"-on-run-(start|end)-\d+$")


class SkipCauses:
    """Finds the failed node for which dbt skipped another. Takes the ends in the order of the log.

    Each answer costs the same, however many nodes have failed, because the answers for the nodes in
    between are cached. An answer may therefore miss a failure that came late: dbt v2 skips a node
    without waiting for all of its parents. `settle` finds the final causes.
    """

    def __init__(self) -> None:
        self._lineage: Lineage | None = None
        self._ancestors: FailedAncestors | None = None
        self._failed: dict[str, str] = {}
        """The end time of each failed node, as sortable text."""
        self._first: list[tuple[str, str]] | None = []
        """The first two failures; None if they must be found again."""
        self._hooks: dict[str, str] = {}
        self._skipped: set[str] = set()

    def use_lineage(self, lineage: Lineage) -> None:
        """From now on the lineage decides between several failures."""
        self._lineage, self._ancestors = lineage, None

    def add_end(self, node: NodeBuffer) -> None:
        """Take a node that has ended, or that has ended in another way than before."""
        unique_id = node.unique_id
        if _is_skip(node):
            self._skipped.add(unique_id)
        has_failed = node.outcome == "failure"
        if has_failed == (unique_id in self._failed):
            return
        if not has_failed:
            del self._failed[unique_id]
            self._ancestors = self._first = None
            return
        kind = hook_kind(unique_id)
        if kind is not None:
            self._hooks.setdefault(kind, unique_id)
            return
        self._failed[unique_id] = _end_of(node)
        if self._first is not None:
            self._first = sorted([*self._first, (self._failed[unique_id], unique_id)])[:2]
        if self._ancestors is not None:
            self._ancestors.add(unique_id)

    def cause_of(self, skipped: NodeBuffer) -> str | None:
        """The failed node for which dbt skipped this one; None if several are possible.

        dbt's log names no parents. Without a lineage only a single failure is certain.
        """
        if skipped.culprit is not None:
            return skipped.culprit
        kind = hook_kind(skipped.unique_id)
        if kind is not None:
            return self._hooks.get(kind)
        # The ephemeral model that dbt names may itself be skipped because of another node.
        named = _EPHEMERAL.search(skipped.facts.get("message") or "")
        if named is not None and named[1] not in self._skipped:
            return named[1]
        # After a failed hook dbt does not begin the node (skip_nodes_if_on_run_start_fails). After
        # a failed node it begins and ends each node that it skips.
        if (
            "start" in self._hooks
            and not skipped.has_begun
            and skipped.facts.get("skip_cause") != "fail_fast"
        ):
            return self._hooks["start"]
        if self._lineage is None:
            return self._only_failure(_end_of(skipped))
        if self._ancestors is None:
            self._ancestors = FailedAncestors(self._lineage, self._failed)
        return self._ancestors.closest(skipped.unique_id)

    def settle(self, nodes: Iterable[NodeBuffer]) -> list[NodeBuffer]:
        """Set the cause of every skipped node of the invocation; returns the nodes it changed.

        The end times decide which failures came before a skip, because the threads log in no fixed
        order. If that gives no cause, any failure counts.
        """
        ended = [n for n in nodes if n.is_terminal and n.outcome in ("failure", "skipped")]
        skipped = {n.unique_id: n.caused_by for n in ended if _is_skip(n)}
        if not skipped:
            return []
        ended.sort(key=lambda n: (_end_of(n), n.unique_id in skipped))
        self._ancestors, self._failed, self._first, self._hooks = None, {}, [], {}
        self._skipped = {*skipped}
        late: list[NodeBuffer] = []
        for node in ended:
            if node.unique_id not in skipped:
                self.add_end(node)
                continue
            node.caused_by = self.cause_of(node) if self._lineage is not None else None
            if node.caused_by is None:
                late.append(node)
        self._ancestors = None
        for node in late:
            node.caused_by = self.cause_of(node)
        return [n for n in ended if n.caused_by != skipped.get(n.unique_id)]

    def _only_failure(self, ended: str) -> str | None:
        """The only failure before this time, or the only failure at all."""
        if self._first is None:
            self._first = sorted((at, unique_id) for unique_id, at in self._failed.items())[:2]
        before = [failed for at, failed in self._first if at <= ended]
        if not before and len(self._failed) == 1:
            return next(iter(self._failed))
        return before[0] if len(before) == 1 else None


def hook_kind(unique_id: str) -> str | None:
    """`start` or `end` for a hook that runs before or after all nodes, else None."""
    found = _HOOK.search(unique_id) if unique_id.startswith("operation.") else None
    return found[1] if found is not None else None


def _is_skip(node: NodeBuffer) -> bool:
    return node.status == "skipped"


def _end_of(node: NodeBuffer) -> str:
    """When the node ended. An unknown time counts as late for a skip, as early for a failure."""
    return sortable_time(node.ended_at or ("9" if _is_skip(node) else ""))
