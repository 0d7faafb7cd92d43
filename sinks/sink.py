"""What a sink is, and what a sink can say of a record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ..records.schema import Record


@dataclass(frozen=True, slots=True)
class Delivered:
    """The destination has the record for good."""


@dataclass(frozen=True, slots=True)
class Retry:
    """It may work later. `after` is how many seconds the destination asks to wait (Retry-After)."""

    reason: str
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """It cannot work until a person changes something (credentials, permission, a missing run).

    `reason` says what is wrong and what to do. `seen` is the answer alone, which people read while
    it is not certain that they have to do something. `may_pass` says that the answer came from
    something in front of the destination, such as a proxy.
    """

    reason: str
    seen: str | None = None
    may_pass: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """The destination will never take this record. `reason` is its answer."""

    reason: str


Verdict = Delivered | Retry | Hold | Rejected


class Sink(Protocol):
    """A place that records are sent to.

    `address` is JSON without secrets: enough to open the sink again from the journal. At most
    `most_workers` threads call `send` at once, and never two with the same key.
    """

    name: str
    address: dict[str, Any]
    most_workers: int

    def send(self, record: Record) -> Verdict:
        """Send one record. Blocks until the destination has answered, or a time-out has passed."""
        ...

    def close(self) -> None: ...
