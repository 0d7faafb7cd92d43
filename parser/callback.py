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

    `publish` is called with each new or amended record, one at a time, on whichever of dbt's
    threads reported it; dbt waits for it, and ends if it raises. dbt does not scrub its callbacks:
    give the values of `DBT_ENV_SECRET_*` as `secrets`. `faults` counts the events that could not be
    folded, `fault` is the first reason.
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
        """Take one `EventMsg`, or the dictionary that it makes.

        dbt ends if its callback raises: what cannot be read is counted, and nothing else is lost.
        """
        with self._lock:
            for record in self._fold(message):
                self._publish(record)

    def finish(self, ended: Exit | None = None) -> None:
        """dbt has returned: publish the records that are still missing."""
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
    # protobuf comes with dbt, in whose process this runs.
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415

    return MessageToDict(message, preserving_proto_field_name=True)
