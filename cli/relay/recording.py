"""The records of a run on their way to the journal, from its first event on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from ...records.schema import NodeRecord, RunRecord
    from ...sinks import Delivery


class Recording:
    """Begins the run when there is something to tell of it.

    A log without an event, and a command that runs no dbt, leave nothing in the journal that could
    pass for a run. `open` begins the run and its delivery, `close` is called in the end if it was
    not; `started` is the run's first record.
    """

    def __init__(
        self,
        open: Callable[[], Delivery],  # noqa: A002
        started: RunRecord,
        *,
        close: Callable[[], None],
    ) -> None:
        self.started = started
        self.delivery: Delivery | None = None
        self._open = open
        self._close = close

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.delivery is not None:
            self.delivery.close()
        else:
            self._close()

    def begin(self) -> Delivery:
        """The delivery, with the run's own record in it."""
        if self.delivery is None:
            self.delivery = self._open()
            self.delivery.put(self.started)
        return self.delivery

    def put(self, record: NodeRecord) -> None:
        self.begin().put(record)

    def restart(self, started: RunRecord) -> None:
        """Say more of the run that goes on."""
        if self.delivery is not None:
            self.delivery.put(started)
        self.started = started
