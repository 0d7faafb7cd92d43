"""The options of a node's Airflow task in dbt's `meta`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from ...records.values import finite_number, is_object, number, text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .node import Node

_CLOCK: Final = re.compile(r"(?P<hours>\d+):(?P<minutes>[0-5]\d):(?P<seconds>[0-5]\d)", re.ASCII)
_ISO: Final = re.compile(
    r"P(?=.)(?:(?P<days>\d+)D)?(?:T(?=.)(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?",
    re.ASCII,
)
_LONGEST: Final = timedelta(days=3650)


class OptionError(ValueError):
    """A value in `meta` that no task can have. The message names node, file and option."""


def task_options(node: Node) -> dict[str, Any]:
    """The keywords of Airflow for the task of a node, from `meta`.

    `meta.airflow` wins over `meta.cosmos.operator_kwargs`, of which the options for Cosmos alone
    are left out. Without the option `owner`, the node's owner in dbt is the task's owner. Raises
    OptionError.
    """
    found: dict[str, Any] = {} if node.owner is None else {"owner": node.owner}
    of_cosmos = _object(node, "meta.cosmos", node.meta.get("cosmos"))
    kwargs = of_cosmos.get("operator_kwargs")
    found.update(_read(node, "meta.cosmos.operator_kwargs", kwargs, is_strict=False))
    found.update(_read(node, "meta.airflow", node.meta.get("airflow"), is_strict=True))
    return found


def _read(node: Node, place: str, given: Any, *, is_strict: bool) -> Iterator[tuple[str, Any]]:
    for name, value in _object(node, place, given).items():
        option = OPTIONS.get(name)
        if option is None:
            if is_strict:
                raise _error(
                    node, f"{place}.{name}", f"not an option: use one of {', '.join(OPTIONS)}"
                )
        elif value is not None:
            keyword, read, form = option
            if (as_python := read(value)) is None:
                raise _error(node, f"{place}.{name}", f"{value!r}: it must be {form}")
            yield keyword, as_python


def _object(node: Node, place: str, value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not is_object(value):
        raise _error(node, place, f"{value!r}: it must have an option on each line")
    return value


def _error(node: Node, place: str, what: str) -> OptionError:
    return OptionError(f"{node.unique_id} ({node.described_in}): {place} is {what}")


def _natural(value: Any) -> int | None:
    found = number(value)
    return found if found is not None and found >= 0 else None


def _positive(value: Any) -> int | None:
    return _natural(value) or None


def _duration(value: Any) -> timedelta | None:
    """Seconds, `HH:MM:SS`, or a duration of ISO 8601 in days and less: `PT1H30M`, `P1D`."""
    seconds = finite_number(value)
    if seconds is None and isinstance(value, str):
        found = _CLOCK.fullmatch(value) or _ISO.fullmatch(value)
        parts = found.groupdict(default="0") if found else {}
        units = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}
        # A text of ten thousand digits is no number for Python.
        if all(len(part) < 10 for part in parts.values()):
            seconds = sum(int(part) * units[unit] for unit, part in parts.items())
    if not seconds or not 0 < seconds <= _LONGEST.total_seconds():
        return None
    return timedelta(seconds=seconds)


_TEXT: Final = (text, "a text")
_DURATION: Final = (
    _duration,
    "seconds, 'HH:MM:SS' or a duration of ISO 8601 such as 'PT1H30M', above 0",
)
_WEIGHT_RULES: Final = ("absolute", "downstream", "upstream")


def _weight_rule(value: Any) -> str | None:
    return value if value in _WEIGHT_RULES else None


OPTIONS: Final[dict[str, tuple[str, Callable[[Any], Any], str]]] = {
    "pool": ("pool", *_TEXT),
    "pool_slots": ("pool_slots", _positive, "a whole number from 1"),
    "queue": ("queue", *_TEXT),
    "executor": ("executor", *_TEXT),
    "owner": ("owner", *_TEXT),
    "priority_weight": ("priority_weight", number, "a whole number"),
    "weight_rule": ("weight_rule", _weight_rule, f"one of {', '.join(_WEIGHT_RULES)}"),
    "retries": ("retries", _natural, "a whole number from 0"),
    "retry_delay": ("retry_delay", *_DURATION),
    "execution_timeout": ("execution_timeout", *_DURATION),
    "doc": ("doc_md", *_TEXT),
    "doc_md": ("doc_md", *_TEXT),
    "display_name": ("task_display_name", *_TEXT),
    "task_display_name": ("task_display_name", *_TEXT),
}
"""Airflow's keyword for each option, a function that gives None for a wrong value, and the form of
a right value."""
