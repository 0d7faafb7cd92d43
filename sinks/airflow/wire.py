"""How records are put into XComs: which keys they fill, and with what."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ...records.schema import RunRecord
from ...records.xcom import xcom_key
from .payload import xcom_value

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from ...records.schema import Record
    from ..sink import Rejected
    from .api.settings import AirflowSettings


@dataclass(frozen=True, slots=True)
class Entry:
    """One XCom to write: a key and a value that is safe.

    `age` is the record that says how new the value is. The value that is there says so itself, or,
    where its shape has no room for that, the record of our own under the key `witness` does.
    """

    key: str
    value: Any
    age: Record
    witness: str | None = None


class Wire(Protocol):
    """One form of XComs. Any thread may call any method."""

    def learn(self, record: Record) -> None:
        """Take note of a record of the run, which may be sent later, or was sent by another
        process."""
        ...

    def turn(self, record: Record) -> AbstractContextManager[Any]:
        """To be held from `entries` to the last write, where other records fill the same keys."""
        ...

    def entries(self, record: Record) -> Sequence[Entry | Rejected]:
        """What to write for a record, in this order; for what cannot be written, why."""
        ...

    def stamp(self, value: Any) -> Any:
        """The JSON of a record that tells the age of a value that is there; None if it has none."""
        ...


class RelayWire:
    """Our own: one XCom per record, which is the record's JSON."""

    def __init__(self, settings: AirflowSettings) -> None:
        self._to = settings

    def learn(self, record: Record) -> None:
        """Each record speaks for itself."""

    def turn(self, record: Record) -> AbstractContextManager[Any]:
        return contextlib.nullcontext()

    def entries(self, record: Record) -> Sequence[Entry | Rejected]:
        value = xcom_value(record.to_json(), self._to.max_message_bytes)
        return [Entry(key_of(record, self._to.key_prefix), value, record)]

    def stamp(self, value: Any) -> Any:
        return value


def key_of(record: Record, prefix: str) -> str:
    """The XCom key of a record of our own form."""
    if isinstance(record, RunRecord):
        return prefix + record.key
    return xcom_key(record.key, prefix)
