"""The records of a task in Airflow's task state store, which a retry does not delete."""

from __future__ import annotations

import base64
import json
import time
import zlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_KEY: Final = "dbt_relay"
_EVERY: Final = 10.0
"""Seconds between two writes."""
_CHUNK: Final = 40_000
"""Characters of a value. Airflow warns of a value of more than 64 KB."""


class RecordStore:
    """Keeps each record that it is told of, for the next attempt of the task.

    `store` is `context["task_state_store"]` (Airflow 3.3 or newer). A key has the number of the
    newest attempt and of its chunks; each chunk has a key of its own, with compressed JSON lines.
    Only the last chunk is ever written again.
    """

    def __init__(
        self, store: Any, attempt: int, log: Any, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._attempt = attempt
        self._log = log
        self._clock = clock
        self._saved_at = clock()
        self._chunk = 0
        self._lines: list[str] = []
        self._unsaved: dict[str, Any] = {}

    def add(self, key: str, value: Any) -> None:
        """Take a record under its key. Writes to the store once in ten seconds."""
        self._unsaved[key] = value
        if self._clock() - self._saved_at >= _EVERY:
            self.save()

    def save(self) -> None:
        """Write the records that are not in the store yet. Trouble is logged, not raised."""
        if not self._unsaved:
            return
        self._lines += [json.dumps(value) for value in self._unsaved.values()]
        self._unsaved = {}
        text = _packed(self._lines)
        try:
            self._store.set(self._chunk_key(self._attempt, self._chunk), text)
            self._store.set(_KEY, {"attempt": self._attempt, "chunks": self._chunk + 1})
        except Exception as error:
            self._log.warning("Airflow's state store did not take the records: %s", error)
        self._saved_at = self._clock()
        if len(text) > _CHUNK:
            self._chunk, self._lines = self._chunk + 1, []

    def earlier(self) -> list[Any]:
        """The records of the newest earlier attempt, in the order in which they came."""
        head = self._store.get(_KEY)
        if not isinstance(head, dict):
            return []
        keys = [self._chunk_key(head["attempt"], number) for number in range(head["chunks"])]
        return [value for key in keys for value in _unpacked(self._store.get(key))]

    @staticmethod
    def _chunk_key(attempt: int, number: int) -> str:
        return f"{_KEY}_{attempt}_{number}"


def _packed(lines: list[str]) -> str:
    return base64.b64encode(zlib.compress("\n".join(lines).encode())).decode()


def _unpacked(text: Any) -> list[Any]:
    lines = zlib.decompress(base64.b64decode(text)).decode().split("\n") if text else []
    return [json.loads(line) for line in lines]
