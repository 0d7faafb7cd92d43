"""dbt's node selection (`--select` and `--exclude`), answered from a manifest without dbt."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .criterion import SELECTOR, Criterion, Relatives
from .indirect import Found, combined, walk, with_tests
from .methods import Search
from .selectors import Selectors

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence, Set

    from .manifest import IndirectSelection, Manifest

_ONE_SELECTOR: Final = re.compile(rf"{SELECTOR}:[^,]*[^,+]")


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
) -> Selection:
    """The nodes of any kind that `dbt ls` lists for these options.

    A space between terms (or another item of the list) means a union, a comma an intersection.
    Without `select` all nodes are selected. Without `indirect_selection` a test is selected only if
    a term names it, or as a child in `a+`. Hooks are never selected. Raises SelectionError.

    `selector:name` is a selector of `selectors.yml`. It must be alone, like dbt's `--selector`,
    except in dbt 1.12. Without both options the selector with `default: true` selects.
    """
    evaluator = _Evaluator(manifest, Search(manifest), indirect_selection)
    wanted, unwanted = _terms(select), _terms(exclude)
    chosen: Set[str] = manifest.nodes.keys()
    if not unwanted and (selector := _only_selector(manifest, wanted)) is not None:
        chosen = evaluator.selectors.nodes(selector)
    elif wanted:
        chosen = evaluator.union(wanted).direct
    if unwanted:
        chosen = chosen - evaluator.union(unwanted).direct
    nodes = manifest.nodes.items()
    return Selection(
        tuple(u for u, node in nodes if u in chosen and node.resource_type != "operation"),
        tuple(dict.fromkeys(evaluator.unmatched)),
    )


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
        self, manifest: Manifest, search: Search, indirect_selection: IndirectSelection | None
    ) -> None:
        self.unmatched: list[str] = []
        self.selectors = Selectors(manifest, self._with_tests)
        self._manifest = manifest
        self._search = search
        self._mode: IndirectSelection | None = indirect_selection

    def union(self, terms: Iterable[str]) -> Found:
        """The union of terms. Terms of one criterion search for their relatives together, so a list
        of a hundred `+name` walks the graph once."""
        found: list[Found] = []
        together: dict[Relatives, set[str]] = {}
        parsed = [(term, [Criterion.parse(part) for part in term.split(",")]) for term in terms]
        for term, criteria in parsed:
            matches = [self._matches(criterion) for criterion in criteria]
            is_plain = self._mode != "buildable" and criteria[0].method != SELECTOR
            if len(criteria) == 1 and is_plain:
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
        return combined(self._manifest, found, set[str].union, self._mode)

    def _intersection(self, criteria: Sequence[Criterion], matches: Sequence[set[str]]) -> Found:
        found = [
            self._reached(nodes, c.relatives, self._mode_of(c))
            for nodes, c in zip(matches, criteria, strict=True)
        ]
        return combined(self._manifest, found, set[str].intersection, self._mode)

    def _with_tests(self, criterion: Criterion) -> set[str]:
        nodes = self._matches(criterion)
        return self._reached(nodes, criterion.relatives, self._mode_of(criterion)).direct

    def _matches(self, criterion: Criterion) -> set[str]:
        if criterion.method == SELECTOR:
            self.selectors.check_method()
            return self.selectors.nodes(str(criterion.value))
        return self._search.find(criterion.method, criterion.arguments, criterion.value)

    def _mode_of(self, criterion: Criterion) -> IndirectSelection | None:
        """A selector has its tests already."""
        return None if criterion.method == SELECTOR else criterion.indirect_selection or self._mode

    def _reached(
        self, nodes: set[str], relatives: Relatives, mode: IndirectSelection | None
    ) -> Found:
        # Up to dbt 1.8 `empty` forgets the relatives of `+a`.
        if mode != "empty" or self._manifest.dbt_version >= (1, 9):
            nodes = _with_relatives(self._manifest, nodes, relatives)
        return with_tests(self._manifest, nodes, mode)


def _with_relatives(manifest: Manifest, nodes: set[str], wanted: Relatives) -> set[str]:
    found = set(nodes)
    if wanted.with_parents_of_children:
        found |= walk(manifest, nodes, "children", math.inf)
        found |= walk(manifest, found, "parents", math.inf)
    found |= walk(manifest, nodes, "parents", wanted.up)
    found |= walk(manifest, nodes, "children", wanted.down)
    return found
