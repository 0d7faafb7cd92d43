"""The ids of traces and spans, which are the same each time a record is sent."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

_TRACEPARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}.*")
"""https://www.w3.org/TR/trace-context/#traceparent-header"""


@dataclass(frozen=True, slots=True)
class SpanId:
    """A span, by the numbers of its trace and of itself."""

    trace: int
    span: int

    @classmethod
    def of_traceparent(cls, header: str | None) -> SpanId | None:
        """The span that `TRACEPARENT` names; None for a text that names none."""
        found = _TRACEPARENT.fullmatch((header or "").strip().lower())
        if found is None:
            return None
        named = cls(int(found[1], 16), int(found[2], 16))
        return named if named.trace and named.span else None


def root_of(invocation_id: str | None, started_at: str, caller: SpanId | None) -> SpanId:
    """The span of an invocation of dbt.

    Its trace is the caller's. Without a caller it is dbt's `invocation_id`, which is a UUID; a dbt
    that died before its first event has none, and the start of the run then stands for it.
    """
    name = invocation_id or started_at
    trace = caller.trace if caller is not None else _number_of(name)
    return SpanId(trace, _digest(f"dbt {name}"))


def node_of(root: SpanId, invocation_id: str | None, unique_id: str) -> SpanId:
    """The span of a node in an invocation of dbt. Each attempt of a task has its own invocation."""
    return SpanId(root.trace, _digest(f"{invocation_id} {unique_id}"))


def _number_of(name: str) -> int:
    try:
        return uuid.UUID(name).int
    except ValueError:
        return int.from_bytes(sha256(name.encode()).digest()[:16], "big")


def _digest(name: str) -> int:
    return int.from_bytes(sha256(name.encode()).digest()[:8], "big") or 1
