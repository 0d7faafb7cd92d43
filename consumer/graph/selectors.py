"""dbt's YAML selectors, which a manifest holds in a form of its own."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

from ...records.values import is_array, is_object
from .criterion import SELECTOR, Criterion, criteria_of
from .methods import SelectionError
from .names import matcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ...records.values import JsonObject
    from .manifest import Manifest


class Selectors:
    """Finds the nodes of selectors.

    `find` finds the nodes of a criterion, with their tests. `find_excluded` does so for an
    `exclude`.
    """

    def __init__(
        self,
        manifest: Manifest,
        find: Callable[[Criterion], set[str]],
        find_excluded: Callable[[Criterion], set[str]],
    ) -> None:
        self._definitions = manifest.selectors
        self._find = find
        self._find_excluded = find_excluded
        # Other versions than dbt 1.12 know selectors only as the option `--selector`, and write the
        # definition of an inherited selector into the manifest.
        self._is_method = manifest.dbt_version >= (1, 12) and not manifest.is_v2
        self._is_v2 = manifest.is_v2
        self._open: list[str] = []
        self._excludes_around = 0

    def nodes(self, name: str) -> set[str]:
        """The unique_ids for a selector, or with wildcards for several. Raises SelectionError."""
        matches = matcher(name) if self._is_method else name.__eq__
        names = [known for known in self._definitions if matches(known)]
        if not names:
            known = ", ".join(self._definitions) or "none"
            raise SelectionError(
                f"the manifest has no selector {name!r} (it has: {known}): add it to "
                "selectors.yml, and run `dbt parse`"
            )
        return set[str]().union(*map(self._nodes_of_selector, names))

    def check_method(self) -> None:
        """Raises SelectionError if dbt does not know `selector:name` as one of several terms."""
        if not self._is_method:
            raise SelectionError(
                "only dbt 1.12 combines selectors with other terms: give `selector:name` alone, "
                "like dbt's `--selector name`, or combine it in selectors.yml"
            )

    def _nodes_of_selector(self, name: str) -> set[str]:
        if name in self._open:
            raise SelectionError(f"the selector {name!r} refers to itself")
        self._open.append(name)
        found = self._nodes(self._definitions[name])
        self._open.pop()
        return found

    def _nodes(self, definition: Any) -> set[str]:
        if isinstance(definition, str):
            return self._of_text(definition)
        match definition:
            case {"union": [*parts]}:
                return self._combined(set[str].union, parts) - self._beside(definition)
            case {"intersection": [*parts]}:
                return self._combined(set[str].intersection, parts) - self._beside(definition)
            case {"method": _, "value": _}:
                criterion = Criterion.from_definition(definition, is_v2=self._is_v2)
                return self._of_criterion(criterion) - self._excluded(definition)
            case {**one} if len(one) == 1:
                ((method, value),) = one.items()
                return self._nodes({"method": method, "value": value})
            case _:
                raise SelectionError(f"{definition!r} in selectors.yml is not a selection")

    def _combined(
        self, combine: Callable[[set[str], set[str]], set[str]], parts: Iterable[Any]
    ) -> set[str]:
        """The union or intersection of the parts, without those that a part excludes."""
        included: list[set[str]] = []
        excluded = set[str]()
        for part in parts:
            if is_object(part) and "exclude" in part and not self._has_own_nodes(part):
                excluded |= self._excluded(part)
            else:
                included.append(self._nodes(part))
        return (reduce(combine, included) if included else set[str]()) - excluded

    def _has_own_nodes(self, part: JsonObject) -> bool:
        """Whether the part of a union or intersection is more than its `exclude`.

        Of a criterion with an `exclude` dbt 1.x takes only the exclusion. An inherited selector
        with an `exclude` looks the same in most manifests.
        """
        if self._is_v2:
            return len(part) > 1
        return not self._is_method and part in self._definitions.values()

    def _beside(self, definition: JsonObject) -> set[str]:
        """The nodes of an `exclude` beside a union or intersection, which only dbt v2 knows."""
        return self._excluded(definition) if self._is_v2 else set()

    def _excluded(self, definition: JsonObject) -> set[str]:
        given: Any = definition.get("exclude") or []
        parts: list[Any] = given if is_array(given) else [given]
        self._excludes_around += 1
        found = set[str]().union(*map(self._nodes, parts))
        self._excludes_around -= 1
        return found

    def _of_text(self, text: str) -> set[str]:
        """The nodes of a text. For dbt 1.x it is one criterion, whatever its value."""
        found = criteria_of(text, is_v2=True) if self._is_v2 else [Criterion.parse(text)]
        return reduce(set[str].intersection, map(self._of_criterion, found)) if found else set()

    def _of_criterion(self, criterion: Criterion) -> set[str]:
        if criterion.method == SELECTOR and not self._is_method:
            return self.nodes(str(criterion.value))  # dbt ignores `children` and the like here
        return self._find_excluded(criterion) if self._excludes_around else self._find(criterion)
