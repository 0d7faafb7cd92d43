"""One criterion of dbt's node selection: `2+tag:nightly+3`."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, get_args

from .manifest import IndirectSelection
from .methods import SelectionError

if TYPE_CHECKING:
    from ...records.values import JsonObject

_CRITERION: Final = re.compile(
    r"(?P<at>@)?(?:(?P<up>\d*)\+)?(?:(?P<method>[\w.]+):)?(?P<value>.*?)(?:\+(?P<down>\d*))?"
)
_FILES: Final = (".sql", ".py", ".csv")
_ARTIFACTS: Final = "needs the artifacts of earlier runs"
_ELSEWHERE: Final = {
    "state": _ARTIFACTS,
    "result": _ARTIFACTS,
    "source_status": _ARTIFACTS,
}
SELECTOR: Final = "selector"
"""The method that names a selector of `selectors.yml`."""


@dataclass(frozen=True, slots=True)
class Relatives:
    """The relatives that a criterion adds: generations up (`2+a`) and down (`a+2`), or with `@` all
    children and all parents of these."""

    up: float = 0
    down: float = 0
    with_parents_of_children: bool = False


@dataclass(frozen=True, slots=True)
class Criterion:
    """One criterion of a term, `2+method.argument:value+3`.

    In `selectors.yml` a criterion may have its own `indirect_selection`, and the value of a config
    may be a number or a boolean.
    """

    method: str
    arguments: tuple[str, ...]
    value: str | float
    relatives: Relatives
    indirect_selection: IndirectSelection | None = None

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
        return cls(*_method(found["method"], text), value, relatives)

    @classmethod
    def from_definition(cls, definition: JsonObject, *, is_v2: bool = False) -> Criterion:
        """The criterion in a selector's definition. Raises SelectionError."""
        method, arguments = _method(str(definition["method"]), str(definition))
        if method == "config" and not arguments and ":" not in str(definition.get("value")):
            raise SelectionError(
                f"{definition} does not say which config, because dbt v2 leaves that out of the "
                "manifest: put selectors.yml and dbt_project.yml beside the manifest or one folder "
                "above, or give the selector's terms as select"
            )
        value = definition["value"]
        if not isinstance(value, str | int | float):
            raise SelectionError(f"{definition} has no value that dbt can search for")
        up, down = (_depth(definition, way, is_v2=is_v2) for way in ("parents", "children"))
        at = bool(definition.get("childrens_parents"))
        if at and definition.get("children"):
            raise SelectionError(f"{definition} has both childrens_parents and children")
        mode = definition.get("indirect_selection")
        if mode not in (None, *get_args(IndirectSelection)):
            raise SelectionError(f"{definition} has an unknown indirect_selection")
        return cls(
            method,
            arguments,
            value if method == "config" else str(value),
            Relatives(up, down, with_parents_of_children=at),
            mode,
        )


def criteria_of(term: str, *, is_v2: bool) -> list[Criterion]:
    """The criteria of a term with commas. Raises SelectionError.

    dbt v2 ignores an empty criterion, and refuses one that has only signs of relatives.
    """
    if not is_v2:
        return [Criterion.parse(part) for part in term.split(",")]
    found = [Criterion.parse(part.strip()) for part in term.split(",") if part.strip()]
    for one in found:
        is_broken = "+" in str(one.value) and one.relatives == Relatives()
        if not one.value or is_broken:
            raise SelectionError(f"{term!r} is not a selection that dbt knows")
    return found


def _method(dotted: str, text: str) -> tuple[str, tuple[str, ...]]:
    """A method and its arguments. Raises SelectionError for one that a manifest cannot answer."""
    method, *arguments = dotted.split(".")
    if method in _ELSEWHERE:
        raise SelectionError(
            f"{text!r}: the method {method!r} {_ELSEWHERE[method]}, which a manifest does not "
            f"have. Use other methods, or the names that `dbt ls --select {text}` prints"
        )
    return method, tuple(arguments)


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


def _depth(definition: JsonObject, way: str, *, is_v2: bool) -> float:
    """The generations in a definition. Only dbt 1.x takes 0 for all, and a depth alone for none."""
    depth = definition.get(f"{way}_depth")
    if is_v2 and depth is not None:
        return _generations(str(definition), str(depth))
    return _generations(str(definition), str(depth) if depth else "") if definition.get(way) else 0
