"""dbt's node selection (`--select` and `--exclude`), answered from a manifest without dbt."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Final, Literal

from .methods import METHODS, Search, SelectionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence, Set

    from .manifest import Manifest

_CRITERION: Final = re.compile(
    r"(?P<at>@)?(?:(?P<up>\d*)\+)?(?:(?P<method>[\w.]+):)?(?P<value>.*?)(?:\+(?P<down>\d*))?"
)
_FILES: Final = (".sql", ".py", ".csv")
_ARTIFACTS: Final = "needs what earlier runs have left"
_ELSEWHERE: Final = {
    "state": _ARTIFACTS,
    "result": _ARTIFACTS,
    "source_status": _ARTIFACTS,
    "selector": "needs the project's selectors.yml",
}


@dataclass(frozen=True, slots=True)
class Relatives:
    """Which relatives a criterion adds: so many generations up (`2+a`), down (`a+2`), or with `@`
    all children and all their parents."""

    up: float = 0
    down: float = 0
    with_parents_of_children: bool = False


@dataclass(frozen=True, slots=True)
class Criterion:
    """One `2+method.argument:value+3`."""

    method: str
    arguments: tuple[str, ...]
    value: str
    relatives: Relatives

    @classmethod
    def parse(cls, text: str) -> Criterion:
        """Raises SelectionError."""
        found = _CRITERION.fullmatch(text)
        if found is None:
            raise SelectionError(f"{text!r} is not a selection that dbt knows")
        if found["at"] and found["down"] is not None:
            raise SelectionError(f"{text!r} has both @ and +: @ takes all children already")
        up, down = (_generations(text, found[way]) for way in ("up", "down"))
        relatives = Relatives(up, down, with_parents_of_children=bool(found["at"]))
        value = found["value"]
        if found["method"] is None:
            return cls(_default_method(value), (), value, relatives)
        method, *arguments = found["method"].split(".")
        if method in _ELSEWHERE:
            raise SelectionError(
                f"{text!r}: the method {method!r} {_ELSEWHERE[method]}, which a manifest does not "
                f"hold. Use other methods, or the names that `dbt ls --select {text}` prints"
            )
        if method not in METHODS:
            raise SelectionError(
                f"{text!r}: there is no method {method!r} to select by, but {', '.join(METHODS)}"
            )
        return cls(method, tuple(arguments), value, relatives)


@dataclass(frozen=True, slots=True)
class Selection:
    """The nodes selected, parents before children, and the terms that matched nothing at all."""

    unique_ids: tuple[str, ...]
    unmatched: tuple[str, ...] = ()


def select(
    manifest: Manifest,
    select: str | Sequence[str] | None = None,
    exclude: str | Sequence[str] | None = None,
) -> Selection:
    """What `dbt ls --select … --exclude … --indirect-selection empty` lists, of every kind.

    A space between terms (or another item of the list) is a union, a comma an intersection.
    Without `select` it is everything. Tests come only where a term names them or they are children
    in `a+`; those of the selected nodes are `Manifest.tests`. Hooks, which no one can select, are
    never in it. Raises SelectionError.
    """
    search = Search(manifest)
    unmatched: list[str] = []
    chosen: Set[str] = manifest.nodes.keys()
    if select is not None and (terms := _terms(select)):
        chosen = _union(manifest, search, terms, unmatched)
    if exclude is not None:
        chosen = chosen - _union(manifest, search, _terms(exclude), unmatched)
    nodes = manifest.nodes.items()
    return Selection(
        tuple(u for u, node in nodes if u in chosen and node.resource_type != "operation"),
        tuple(dict.fromkeys(unmatched)),
    )


def _terms(given: str | Sequence[str]) -> list[str]:
    """A text of blanks alone is one term that matches nothing, as for dbt."""
    texts = [given] if isinstance(given, str) else given
    return [term for text in texts for term in text.split() or [""]]


def _union(
    manifest: Manifest, search: Search, terms: Iterable[str], unmatched: list[str]
) -> set[str]:
    """Terms of one criterion look for their relatives together: a list of a hundred `+name` walks
    the graph once."""
    found: set[str] = set()
    together: dict[Relatives, set[str]] = {}
    parsed = [(term, [Criterion.parse(part) for part in term.split(",")]) for term in terms]
    for term, criteria in parsed:
        matches = [search.find(c.method, c.arguments, c.value) for c in criteria]
        if len(criteria) == 1:
            matched = matches[0]
            together.setdefault(criteria[0].relatives, set()).update(matched)
        else:
            matched = reduce(
                set[str].intersection,
                (
                    _with_relatives(manifest, nodes, c.relatives)
                    for nodes, c in zip(matches, criteria, strict=True)
                ),
            )
            found |= matched
        if not matched:
            unmatched.append(term)
    for relatives, nodes in together.items():
        found |= _with_relatives(manifest, nodes, relatives)
    return found


def _with_relatives(manifest: Manifest, nodes: set[str], wanted: Relatives) -> set[str]:
    found = set(nodes)
    if wanted.with_parents_of_children:
        found |= _walk(manifest, nodes, "children", math.inf)
        found |= _walk(manifest, found, "parents", math.inf)
    found |= _walk(manifest, nodes, "parents", wanted.up)
    found |= _walk(manifest, nodes, "children", wanted.down)
    return found


def _walk(
    manifest: Manifest, start: set[str], way: Literal["parents", "children"], generations: float
) -> set[str]:
    """What is reached in so many generations. Each node is left once."""
    nodes, found, generation = manifest.nodes, set(start), start
    while generation and generations > 0:
        generation = {u for one in generation for u in getattr(nodes[one], way)} - found
        found |= generation
        generations -= 1
    return found


def _default_method(value: str) -> str:
    if "/" in value:
        return "path"
    return "file" if value.lower().endswith(_FILES) else "fqn"


def _generations(text: str, digits: str | None) -> float:
    """None is no generation, no digits are all of them."""
    if digits is None:
        return 0
    try:
        return int(digits) if digits else math.inf
    except ValueError:
        raise SelectionError(f"{text[:40]!r}… has a number of generations without end") from None
