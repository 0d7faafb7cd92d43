"""dbt's node selection (`--select` and `--exclude`), answered from a manifest without dbt."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .criterion import SELECTOR, Relatives, criteria_of
from .indirect import Found, combined, walk, with_tests
from .methods_v2 import search_of
from .selectors import Selectors

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence, Set

    from .criterion import Criterion
    from .manifest import IndirectSelection, Manifest
    from .methods import Search
    from .node import Node

_ONE_SELECTOR: Final = re.compile(rf"{SELECTOR}:[^,]*[^,+]")


_OF_EACH: Final = frozenset({"buildable"})
_OF_EACH_V2: Final = frozenset({"buildable", "cautious"})
"""Modes in which dbt finds other tests with each term than with all terms together."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The selected nodes, parents before children, and the terms that match no node."""

    unique_ids: tuple[str, ...]
    unmatched: tuple[str, ...] = ()


def select(
    manifest: Manifest,
    select: str | Sequence[str] | None = None,
    exclude: str | Sequence[str] | None = None,
    *,
    indirect_selection: IndirectSelection | None = None,
    flag: IndirectSelection | None = None,
) -> Selection:
    """The nodes of any kind that `dbt ls` lists for these options.

    A space between terms (or another item of the list) means a union, a comma an intersection.
    Without `select` all nodes are selected. `flag` is the mode without `indirect_selection`.
    Without both a test is selected only if a term names it, or as a child in `a+`. Hooks are never
    selected. Raises SelectionError.

    `selector:name` is a selector of `selectors.yml`. It must be alone, like dbt's `--selector`,
    except in dbt 1.12; dbt v2 takes an `exclude` beside it. Without `select` and `exclude` the
    selector with `default: true` selects.
    """
    evaluator = _Evaluator(manifest, search_of(manifest), indirect_selection, flag)
    wanted, unwanted = _terms(select), _terms(exclude)
    chosen: Set[str] = manifest.nodes.keys()
    can_be_selector = not unwanted or (wanted and manifest.is_v2)
    if can_be_selector and (selector := _only_selector(manifest, wanted)) is not None:
        chosen = evaluator.selectors.nodes(selector)
    elif wanted:
        chosen = evaluator.union(wanted).direct
    if unwanted:
        excluded = evaluator.union(unwanted).direct
        chosen = chosen - excluded
        if manifest.is_v2:
            chosen = {u for u in chosen if not _reads(manifest.nodes[u], excluded)}
    left_out = _is_left_out_by_v2 if manifest.is_v2 else _is_hook
    return Selection(
        tuple(u for u, node in manifest.nodes.items() if u in chosen and not left_out(node)),
        tuple(dict.fromkeys(evaluator.unmatched)),
    )


def _is_hook(node: Node) -> bool:
    return node.resource_type == "operation"


def _is_left_out_by_v2(node: Node) -> bool:
    return _is_hook(node) or (node.resource_type == "model" and node.is_empty)


def _reads(node: Node, excluded: set[str]) -> bool:
    """Whether a test reads an excluded node, for which dbt v2 leaves out the test."""
    return node.is_test and not excluded.isdisjoint(node.parents)


def _terms(given: str | Sequence[str] | None) -> list[str]:
    """The terms of a selection. Only blanks are one term that matches nothing, as in dbt."""
    texts = [given] if isinstance(given, str) else given or ()
    return [term for text in texts for term in text.split() or [""]]


def _only_selector(manifest: Manifest, wanted: list[str]) -> str | None:
    """The selector that dbt takes with `--selector`, or takes without any option."""
    match wanted:
        case []:
            return manifest.default_selector
        case [term] if _ONE_SELECTOR.fullmatch(term):
            return term.partition(":")[2]
        case _:
            return None


class _Evaluator:
    """Finds the nodes of terms, with the tests that each term adds."""

    def __init__(
        self,
        manifest: Manifest,
        search: Search,
        indirect_selection: IndirectSelection | None,
        flag: IndirectSelection | None,
    ) -> None:
        self.unmatched: list[str] = []
        self.selectors = Selectors(manifest, self._with_tests, self._with_excluded_tests)
        self._manifest = manifest
        self._search = search
        self._mode: IndirectSelection | None = indirect_selection or flag
        # A term of dbt v2 adds its tests by itself: no test may need two terms.
        self._mode_of_several: IndirectSelection | None = None if manifest.is_v2 else self._mode
        self._are_tests_of_each = self._mode in (_OF_EACH_V2 if manifest.is_v2 else _OF_EACH)
        # The option of dbt v2 wins over the mode in a selector.
        self._wins = manifest.is_v2 and indirect_selection is not None

    def union(self, terms: Iterable[str]) -> Found:
        """The union of terms. Terms of one criterion search for their relatives together, so a list
        of a hundred `+name` walks the graph once."""
        found: list[Found] = []
        together: dict[Relatives, set[str]] = {}
        parsed = [(term, criteria_of(term, is_v2=self._manifest.is_v2)) for term in terms]
        for term, criteria in parsed:
            matches = [self._matches(criterion) for criterion in criteria]
            is_plain = not self._are_tests_of_each and len(criteria) == 1
            if is_plain and criteria[0].method != SELECTOR:
                matched = matches[0]
                together.setdefault(criteria[0].relatives, set()).update(matched)
            else:
                both = self._intersection(criteria, matches)
                matched = matches[0] if len(criteria) == 1 else both.direct
                found.append(both)
            if not matched:
                self.unmatched.append(term)
        found += [
            self._reached(nodes, relatives, self._mode) for relatives, nodes in together.items()
        ]
        return combined(self._manifest, found, set[str].union, self._mode_of_several)

    def _intersection(self, criteria: Sequence[Criterion], matches: Sequence[set[str]]) -> Found:
        found = [
            self._reached(nodes, c.relatives, self._mode_of(c))
            for nodes, c in zip(matches, criteria, strict=True)
        ]
        return combined(self._manifest, found, set[str].intersection, self._mode_of_several)

    def _with_tests(self, criterion: Criterion) -> set[str]:
        nodes = self._matches(criterion)
        return self._reached(nodes, criterion.relatives, self._mode_of(criterion)).direct

    def _with_excluded_tests(self, criterion: Criterion) -> set[str]:
        """In the `exclude` of a selector dbt v2 does not take its option for the mode."""
        if not self._manifest.is_v2:
            return self._with_tests(criterion)
        mode = criterion.indirect_selection or "eager"
        return self._reached(self._matches(criterion), criterion.relatives, mode).direct

    def _matches(self, criterion: Criterion) -> set[str]:
        if criterion.method == SELECTOR:
            self.selectors.check_method()
            return self.selectors.nodes(str(criterion.value))
        return self._search.find(criterion.method, criterion.arguments, criterion.value)

    def _mode_of(self, criterion: Criterion) -> IndirectSelection | None:
        """A selector has its tests already."""
        if criterion.method == SELECTOR:
            return None
        own = None if self._wins else criterion.indirect_selection
        return own or self._mode

    def _reached(
        self, nodes: set[str], relatives: Relatives, mode: IndirectSelection | None
    ) -> Found:
        # Up to dbt 1.8 `empty` forgets the relatives of `+a`.
        if mode != "empty" or self._manifest.dbt_version >= (1, 9):
            nodes = _with_relatives(self._manifest, nodes, relatives)
        return with_tests(self._manifest, nodes, mode)


def _with_relatives(manifest: Manifest, nodes: set[str], wanted: Relatives) -> set[str]:
    if manifest.is_v2 and wanted.with_parents_of_children and not wanted.up:
        return _around(manifest, {n for n in nodes if _is_read(manifest, n)})
    found = set(nodes)
    if wanted.with_parents_of_children and not manifest.is_v2:
        found |= _around(manifest, nodes)
    found |= walk(manifest, nodes, "parents", wanted.up)
    found |= walk(manifest, nodes, "children", wanted.down)
    return found


def _around(manifest: Manifest, nodes: set[str]) -> set[str]:
    """The nodes of `@a`: all children, and all parents of these.

    dbt v2 finds nothing around a node that no other node reads, and takes `@+a` for `+a`.
    """
    found = walk(manifest, nodes, "children", math.inf)
    return walk(manifest, found, "parents", math.inf)


def _is_read(manifest: Manifest, unique_id: str) -> bool:
    return not all(_is_hook(manifest.nodes[child]) for child in manifest.nodes[unique_id].children)
