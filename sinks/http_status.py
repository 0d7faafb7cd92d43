"""What the status of an HTTP answer means for a record that was sent with a POST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from .sink import Delivered, Hold, Rejected, Retry

if TYPE_CHECKING:
    from .sink import Verdict

_REFUSED: Final = frozenset({400, 413, 422})
_LATER: Final = frozenset({408, 425, 429})


def verdict_of(status: int, url: str, after: str | None = None) -> Verdict:
    """The verdict on a record. `after` is the header Retry-After, of which only seconds count."""
    reason = f"{_without_login(url)} answered {status}"
    if 200 <= status < 300:
        return Delivered()
    if status in _REFUSED:
        return Rejected(reason)
    if status in _LATER or status >= 500:
        seconds = float(after) if after is not None and after.strip().isdecimal() else None
        return Retry(reason, seconds)
    return Hold(f"{reason}: check its address and credentials", seen=reason)


def _without_login(url: str) -> str:
    """The address for a person to read: a login or a query may hold a credential."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
