"""Records as XComs for the sensors and triggers of Astronomer Cosmos. See docs/how-to/cosmos.md."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from ...records.schema import RunRecord
from ..sink import Delivered, Hold, Rejected, Retry, Verdict
from .api.answers import Missing
from .cosmos_run import CosmosRun, Entry
from .cosmos_values import refuse_shared_key, stamp_of
from .note import TaskNote
from .staleness import refuse_older
from .writer import Found, XComWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    from ...records.schema import Record
    from .api.settings import AirflowSettings


def _no_records() -> Iterable[Record]:
    return ()


class CosmosSink:
    """Sends to each node's keys of Cosmos, and the relay's own record of the run.

    What several records make together is made of the records that were sent, and of those that
    the journal has: see `use_journal`. `name` is "airflow" in a journal of an older dbt-relay.
    `warn` and `note` are as in AirflowSink.
    """

    most_workers = 16

    def __init__(
        self,
        settings: AirflowSettings,
        warn: Callable[[str], object] = print,
        *,
        name: str = "cosmos",
    ) -> None:
        self.name = name
        self.address = {**settings.address, "wire": "cosmos"}
        self.writer = XComWriter(settings, warn)
        self.note = TaskNote(self.writer, settings)
        self._to = settings
        self._run = CosmosRun(settings.max_message_bytes)
        self._records: Callable[[], Iterable[Record]] = _no_records
        self._is_primed = False
        self._writing_shared = threading.Lock()
        self._told: dict[str, Any] = {}
        """Values that were written and have no stamp, by key."""

    def use_journal(self, records: Callable[[], Iterable[Record]]) -> None:
        """Say where all records of the run are, also those that another process has sent.

        They are read at the first record, and when the run has ended: some of its tests may not
        have been sent yet.
        """
        self._records = records

    def send(self, record: Record) -> Verdict:
        if self._to.renews and isinstance(record, RunRecord):
            return Delivered()
        with self._turn(record):
            self._learn(record)
            return self._write_all(record)

    def close(self) -> None:
        self.writer.close()

    def _turn(self, record: Record) -> AbstractContextManager[Any]:
        """Two workers that send tests of one node would write its key in any order."""
        is_shared = isinstance(record, RunRecord) or record.unique_id.startswith("test.")
        return self._writing_shared if is_shared else contextlib.nullcontext()

    def _learn(self, record: Record) -> None:
        has_ended = isinstance(record, RunRecord) and record.state != "running"
        if has_ended or not self._is_primed:
            self._run.learn(self._records())
            self._is_primed = True

    def _write_all(self, record: Record) -> Verdict:
        """Write every XCom that the record completes. One that cannot be written stops no other."""
        entries = self._run.entries(record)
        if not entries:
            # A record that writes nothing must not pass for a sign that Airflow is there.
            return self.writer.check(record) or Delivered()
        rejected: Rejected | None = None
        for entry in entries:
            verdict = entry if isinstance(entry, Rejected) else self._write(record, entry)
            if isinstance(verdict, (Retry, Hold)):
                return verdict
            if isinstance(verdict, Rejected):
                rejected = verdict
        return rejected or Delivered()

    def _write(self, record: Record, entry: Entry) -> Verdict:
        if not entry.is_stamped and self._told.get(entry.key) == entry.value:
            return Delivered()
        verdict = self.writer.write(
            record, entry.key, entry.value, lambda there: self._obstacle(entry, there)
        )
        if isinstance(verdict, Delivered) and not entry.is_stamped:
            self._told[entry.key] = entry.value
        return verdict

    def _obstacle(self, entry: Entry, there: Any) -> Verdict | None:
        """Why the value that is there is not replaced: it is of another node, or it is newer."""
        owner = entry.other_owner(there)
        if owner is not None:
            return refuse_shared_key(entry.key, entry.unique_id or "", owner)
        if entry.is_stamped:
            return refuse_older(entry.age, stamp_of(there))
        run = self.writer.read(RunRecord.key)
        if isinstance(run, Missing):
            return None
        return refuse_older(entry.age, run.value) if isinstance(run, Found) else run
