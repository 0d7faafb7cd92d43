"""Checks of a record's fields, by declared type.

Each check returns the value, or None if the value has another type. Values come from dbt's log,
from dbt's artifacts, and from records that another program may have written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .values import finite_number, is_array, is_object, number, shallow, text

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping


def check_for(declared: str, words: Mapping[str, Collection[str]]) -> Callable[[Any], Any]:
    """The check for a type as a dataclass declares it. Raises KeyError for a type without a check.

    `words` has the words of each type that is a Literal.
    """
    name = declared.removesuffix(" | None")
    if name not in words:
        return _CHECKS[name]
    return lambda value: value if isinstance(value, str) and value in words[name] else None


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _object(value: Any) -> dict[str, Any] | None:
    return shallow(value) if is_object(value) and value else None


def _objects(value: Any) -> list[dict[str, Any]] | None:
    return [shallow(v) for v in value if is_object(v)] or None if is_array(value) else None


def _texts(value: Any) -> list[str] | None:
    return value if is_array(value) and all(isinstance(v, str) for v in value) else None


def _texts_by_name(value: Any) -> dict[str, str] | None:
    is_texts = is_object(value) and all(isinstance(v, str) for v in value.values())
    return value if is_texts else None


def _counts(value: Any) -> dict[str, int] | None:
    is_counts = is_object(value) and all(number(v) is not None for v in value.values())
    return value if is_counts else None


def _counts_by_name(value: Any) -> dict[str, dict[str, int]] | None:
    is_counts = is_object(value) and all(_counts(v) is not None for v in value.values())
    return value if is_counts else None


_CHECKS: Final[dict[str, Callable[[Any], Any]]] = {
    "str": text,
    "int": number,
    "float": finite_number,
    "bool": _flag,
    "dict[str, Any]": _object,
    "list[dict[str, Any]]": _objects,
    "list[str]": _texts,
    "dict[str, str]": _texts_by_name,
    "dict[str, int]": _counts,
    "dict[str, dict[str, int]]": _counts_by_name,
}
