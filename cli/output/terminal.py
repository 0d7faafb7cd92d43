"""Whether a stream is a terminal on which a panel may be shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping

_DUMB: Final = ("", "dumb", "unknown")
_NO: Final = ("", "0", "false")


def shows_panel(stream: TextIO, environ: Mapping[str, str], *, wanted: bool | None) -> bool:
    """Whether to show a panel on this stream.

    `wanted` is what the user said; None leaves it to the place. A log of a CI system is read later,
    even if it is written through a terminal.
    """
    if wanted is False or not stream.isatty() or environ.get("TERM", "") in _DUMB:
        return False
    return bool(wanted) or environ.get("CI", "").lower() in _NO
