"""dbt's secret scrubbing, mended on both of its sides.

dbt (1.7 to 1.12) replaces the values of `DBT_ENV_SECRET_*` by `*****` in the finished JSON text.
A short value so destroys the JSON itself (`"`, `true`, `node`), and a value whose JSON escape
differs from its text (quotes, backslashes, non-ASCII) is not replaced at all.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from .values import is_array, is_object

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MASK: Final = "*****"
_MASK_BYTES: Final = MASK.encode()

_FRAGILE_LENGTH: Final = 24
"""No word of dbt's envelope, event names or statuses is longer (`GenericExceptionOnRun` is 21)."""

_IDENTITY: Final = frozenset(
    {"unique_id", "status", "node_status", "name", "level", "resource_type", "invocation_id", "ts"}
)


class Secrets:
    """The secret values of a run: masks them, and undoes a masking that broke the JSON."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values = sorted({v for v in values if v.strip()}, key=len, reverse=True)
        self._raw = [v.encode("utf-8", "surrogateescape") for v in self._values]
        escaped = (json.dumps(v)[1:-1].encode() for v in self._values)
        # As dbt v2 and most collectors of logs write it.
        unescaped = (
            json.dumps(v, ensure_ascii=False)[1:-1].encode("utf-8", "surrogateescape")
            for v in self._values
        )
        self._traces = {*self._raw, *escaped, *unescaped}
        self._fragile = [raw for raw in self._raw if len(raw) <= _FRAGILE_LENGTH]

    def __bool__(self) -> bool:
        return bool(self._values)

    def restored(self, line: bytes) -> Iterator[bytes]:
        """The lines that a masked line may have been, by each secret short enough to break it."""
        if _MASK_BYTES in line:
            for raw in self._fragile:
                yield line.replace(_MASK_BYTES, raw)

    def traced(self, line: bytes) -> bool:
        """Whether the line still holds a secret, plainly or in its JSON escape."""
        return any(trace in line for trace in self._traces)

    def mask(self, value: Any) -> Any:
        """A decoded JSON value with every secret in its texts masked; what identifies a node stays.

        An identity is never free text, and masking it (a secret `node`, say) would lose the node.
        """
        if isinstance(value, str):
            for secret in self._values:
                value = value.replace(secret, MASK)
            return value
        if is_array(value):
            return [self.mask(v) for v in value]
        if is_object(value):
            return {k: v if k in _IDENTITY else self.mask(v) for k, v in value.items()}
        return value
