"""HTML in which every text is escaped, because only `element` makes it."""

from __future__ import annotations

import html
from typing import Final

from ...records.display import displayed

_VOID: Final = frozenset({"br", "input"})


class Html(str):
    """A text that is HTML already."""

    __slots__ = ()


def element(name: str, *children: str | None, **attributes: str | bool | None) -> Html:
    """An element. A child that is not Html is escaped; None is left out.

    An attribute is `class_` where Python has the word, `aria_label` for `aria-label`; False and
    None leave it out.
    """
    said = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{said}>")
    inner = "".join(escaped(child) for child in children if child is not None)
    return Html(f"<{name}{said}>{inner}</{name}>")


def joined(*parts: str | None) -> Html:
    return Html("".join(escaped(part) for part in parts if part is not None))


def escaped(text: str) -> str:
    return text if isinstance(text, Html) else html.escape(displayed(text))


def _attribute(key: str, value: str | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{html.escape(displayed(value))}"'
