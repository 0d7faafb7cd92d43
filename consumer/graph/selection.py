"""dbt's node selection (`--select` and `--exclude`), answered from a manifest without dbt."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .indirect import combined, walk, with_tests
from .methods import METHODS, Search, SelectionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence, Set

    from .indirect import Found
    from .manifest import IndirectSelection, Manifest

_CRITERION: Final = re.compile(
    r"(?P<at>@)?(?:(?P<up>\d*)\+)?(?:(?P<method>[\w.]+):)?(?P<value>.*?)(?:\+(?P<down>\d*))?"
)
_FILES: Final = (".sql", ".py", ".csv")
_ARTIFACTS: Final = "needs the artifacts of earlier runs"
_ELSEWHERE: Final = {
    "state": _ARTIFACTS,
    "result": _ARTIFACTS,
    "source_status": _ARTIFACTS,
    "selector": "needs the project's selectors.yml",
}


@dataclass(frozen=True, slots=True)
class Relatives:
    """The relatives that a criterion adds: generations up (`2+a`) and down (`a+2`), or with `@` all
    children and all parents of these."""

    up: float = 0
    down: float = 0
    with_parents_of_children: bool = False


@dataclass(frozen=True, slots=True)
class Criterion:
    """One criterion of a term, `2+method.argument:value+3`."""

    method: str
    arguments: tuple[str, ...]
    value: str
    relatives: Relatives

    @classmethod
    def parse(cls, text: str) -> Criterion:
        """The criterion in a text. Raises SelectionError."""
        found = _CRITERION.fullmatch(text)
        if found is None:
            raise SelectionError(f"{text!r} is not a selection that dbt knows")
        if found["at"] and found["down"] is not None:
            raise SelectionError(f"{text!r} has both @ and +: @ selects all children already")
        up, down = (_generations(text, found[way]) for way in ("up", "down"))
        relatives = Relatives(up, down, with_parents_of_children=bool(found["at"]))
        value = found["value"]
        if found["method"] is None:
            return cls(_default_method(value), (), value, relatives)
        method, *arguments = found["method"].split(".")
        if method in _ELSEWHERE:
            raise SelectionError(
                f"{text!r}: the method {method!r} {_ELSEWHERE[method]}, which a manifest does not "
                f"have. Use other methods, or the names that `dbt ls --select {text}` prints"
            )
        if method not in METHODS:
            raise SelectionError(
                f"{text!r}: there is no method {method!r}, only {', '.join(METHODS)}"
            )
        return cls(method, tuple(arguments), value, relatives)


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
    """
    evaluator = _Evaluator(manifest, Search(manifest), indirect_selection)
    chosen: Set[str] = manifest.nodes.keys()
    if select is not None and (terms := _terms(select)):
        chosen = evaluator.union(terms).direct
    if exclude is not None:
        chosen = chosen - evaluator.union(_terms(exclude)).direct
    nodes = manifest.nodes.items()
    return Selection(
        tuple(u for u, node in nodes if u in chosen and node.resource_type != "operation"),
        tuple(dict.fromkeys(evaluator.unmatched)),
    )


def _terms(given: str | Sequence[str]) -> list[str]:
    """The terms of a selection. Only blanks are one term that matches nothing, as in dbt."""
    texts = [given] if isinstance(given, str) else given
    return [term for text in texts for term in text.split() or [""]]


class _Evaluator:
    """Finds the nodes of terms, with the tests that each term adds."""

    def __init__(
        self, manifest: Manifest, search: Search, indirect_selection: IndirectSelection | None
    ) -> None:
        self.unmatched: list[str] = []
        self._manifest = manifest
        self._search = search
        self._mode: IndirectSelection | None = indirect_selection
        # Up to dbt 1.8 `empty` forgets the relatives of `+a`.
        self._forgets_relatives = indirect_selection == "empty" and manifest.dbt_version < (1, 9)

    def union(self, terms: Iterable[str]) -> Found:
        """The union of terms. Terms of one criterion search for their relatives together, so a list
        of a hundred `+name` walks the graph once."""
        found: list[Found] = []
        together: dict[Relatives, set[str]] = {}
        parsed = [(term, [Criterion.parse(part) for part in term.split(",")]) for term in terms]
        for term, criteria in parsed:
            matches = [self._search.find(c.method, c.arguments, c.value) for c in criteria]
            is_alone = len(criteria) == 1 and self._mode != "buildable"
            if is_alone:
                matched = matches[0]
                together.setdefault(criteria[0].relatives, set()).update(matched)
            else:
                both = self._intersection(criteria, matches)
                matched = matches[0] if len(criteria) == 1 else both.direct
                found.append(both)
            if not matched:
                self.unmatched.append(term)
        found += [self._reached(nodes, relatives) for relatives, nodes in together.items()]
        return combined(self._manifest, found, set[str].union, self._mode)

    def _intersection(self, criteria: Sequence[Criterion], matches: Sequence[set[str]]) -> Found:
        found = [
            self._reached(nodes, c.relatives) for nodes, c in zip(matches, criteria, strict=True)
        ]
        return combined(self._manifest, found, set[str].intersection, self._mode)

    def _reached(self, nodes: set[str], relatives: Relatives) -> Found:
        if not self._forgets_relatives:
            nodes = _with_relatives(self._manifest, nodes, relatives)
        return with_tests(self._manifest, nodes, self._mode)


def _with_relatives(manifest: Manifest, nodes: set[str], wanted: Relatives) -> set[str]:
    found = set(nodes)
    if wanted.with_parents_of_children:
        found |= walk(manifest, nodes, "children", math.inf)
        found |= walk(manifest, found, "parents", math.inf)
    found |= walk(manifest, nodes, "parents", wanted.up)
    found |= walk(manifest, nodes, "children", wanted.down)
    return found


def _default_method(value: str) -> str:
    if "/" in value:
        return "path"
    return "file" if value.lower().endswith(_FILES) else "fqn"


def _generations(text: str, digits: str | None) -> float:
    """The number of generations: none for None, all without digits."""
    if digits is None:
        return 0
    try:
        return int(digits) if digits else math.inf
    except ValueError:
        raise SelectionError(f"{text[:40]!r}… has too many generations") from None
