"""Records from dbt's in-process runner: a callback for `dbtRunner(callbacks=[…])`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from .events import event_of
from .run import Run
from .secrets import Secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..records.exits import Exit
    from ..records.schema import NodeRecord


class RecordCallback:
    """Folds the events of an in-process dbt into records.

    >>> callback = RecordCallback(print)
    >>> dbtRunner(callbacks=[callback]).invoke(["build"])
    >>> callback.finish()

    Calls `publish` with each new or amended record, one at a time, on the dbt thread that logged
    the event. dbt waits for `publish`, and ends if it raises. dbt does not mask secrets in events
    for callbacks: pass the values of `DBT_ENV_SECRET_*` as `secrets`. `faults` counts the events
    that failed here, `fault` is the first exception.
    """

    def __init__(
        self,
        publish: Callable[[NodeRecord], object],
        *,
        secrets: Iterable[str] = (),
        attempt: int | None = None,
    ) -> None:
        self._publish = publish
        self._secrets = Secrets(secrets)
        self._run = Run(attempt=attempt)
        self._lock = threading.Lock()
        self.faults = 0
        self.fault: Exception | None = None

    def __call__(self, message: Any) -> None:
        """Take one `EventMsg`, or its dictionary.

        dbt would end if this raised, so a failure only counts as a fault, and the next event goes
        on.
        """
        with self._lock:
            for record in self._fold(message):
                self._publish(record)

    def finish(self, ended: Exit | None = None) -> None:
        """Publish the records that are still missing, once dbt has returned."""
        with self._lock:
            for record in self._run.finish(ended):
                self._publish(record)

    def _fold(self, message: Any) -> list[NodeRecord]:
        try:
            event = event_of(message if isinstance(message, dict) else _dictionary(message))
            if event is None:
                return []
            if self._secrets:
                event.data = self._secrets.mask(event.data)
                event.info = self._secrets.mask(event.info)
                node = event.data.get("node_info")
                event.node = node if isinstance(node, dict) else None
            return self._run.feed(event) or []
        except Exception as error:
            self.faults += 1
            self.fault = self.fault or error
            return []


def _dictionary(message: Any) -> dict[str, Any]:
    # dbt, in whose process this runs, brings protobuf along.
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415

    return MessageToDict(message, preserving_proto_field_name=True)
