"""What a sink is, and what can become of a record that is handed to one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ..records.schema import Record


@dataclass(frozen=True, slots=True)
class Delivered:
    """The destination has it for good."""


@dataclass(frozen=True, slots=True)
class Retry:
    """It may work later. `after` is the destination's own wish in seconds (Retry-After)."""

    reason: str
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """It cannot work until a person changes something (credentials, permission, a missing run).

    `reason` also says what to do. `seen` is only what was seen, for as long as nothing follows from
    it. `may_pass`: the answer was not the destination's own, but of something in between.
    """

    reason: str
    seen: str | None = None
    may_pass: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """The destination will never take this record; the reason is its answer."""

    reason: str


Verdict = Delivered | Retry | Hold | Rejected


class Sink(Protocol):
    """A place where records land. `send` blocks; delivery threads call it, `most_workers` at once
    and no two with the same key. `address` is what it takes, as JSON and without secrets, to open
    it again from the journal."""

    name: str
    address: dict[str, Any]
    most_workers: int

    def send(self, record: Record) -> Verdict:
        """Deliver one record. Returns only once the destination has it, or will not take it."""
        ...

    def close(self) -> None: ...
