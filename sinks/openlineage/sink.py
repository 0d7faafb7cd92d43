"""Sends each record as run events of OpenLineage, through OpenLineage's own client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...records.dbt_version import is_v2
from ...records.outcomes import FAILED
from ...records.schema import NodeRecord, RunRecord
from ..artifacts import NoArtifacts
from ..sink import Delivered, Hold, Rejected, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from openlineage.client.event_v2 import RunEvent

    from ...records.schema import Record
    from ..artifacts import Artifacts
    from .client import Client
    from .events import Events
    from .setting import Setting


class OpenLineageSink:
    """A run of dbt is the parent of its nodes, and each node is a run with a start and an end.

    An event that was sent twice changes nothing: ids and times are the record's. `use_run` says
    when the relay's run started and where dbt's files are, before the first record.
    """

    name = "openlineage"
    most_workers = 1

    def __init__(self, setting: Setting) -> None:
        self.address = setting.to_json()
        self._setting = setting
        self._artifacts: Artifacts = NoArtifacts()
        self._started_at = ""
        self._records: Callable[[], Iterable[Record]] = tuple
        self._client: Client | None = None
        self._events: Events | None = None
        self._begun: dict[str | None, bool] = {}
        """Invocations whose start was sent, and whether one of their nodes has failed."""
        self._described: set[str] = set()
        """Nodes that were sent with what dbt's manifest says of them."""
        self._ended: tuple[str | None, str | None] | None = None
        """Invocation and time of the end of the run that was sent."""

    @property
    def setting(self) -> Setting:
        return self._setting

    def use_setting(self, setting: Setting) -> None:
        """Say where the events stand, before the run begins in the journal."""
        self.address = setting.to_json()
        self._setting = setting

    def use_run(
        self, started_at: str, artifacts: Artifacts, records: Callable[[], Iterable[Record]]
    ) -> None:
        """`records` reads all records of the run, also those that another process has sent."""
        self._started_at = started_at
        self._artifacts = artifacts
        self._records = records

    def send(self, record: Record) -> Verdict:
        opened = self._open()
        if isinstance(opened, Hold):
            return opened
        client, events = opened
        if isinstance(record, RunRecord):
            return self._send_run(record, client, events)
        return self._send_node(record, client, events)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def _open(self) -> tuple[Client, Events] | Hold:
        if self._client is None or self._events is None:
            from .client import Client  # noqa: PLC0415 - loads OpenLineage's client
            from .events import Events  # noqa: PLC0415

            try:
                self._client = Client()
            except Exception as error:
                # A wrong setting of the client. Its text may quote a credential.
                return Hold(
                    f"OpenLineage's client does not start ({type(error).__name__}): check its "
                    "settings"
                )
            self._events = Events(self._setting, self._artifacts, self._started_at)
        return self._client, self._events

    def _send_node(self, record: NodeRecord, client: Client, events: Events) -> Verdict:
        # Asked first: a manifest that comes in between is sent once more, and not missed.
        is_described = events.knows(record)
        made = events.of_node(record)
        if not made:
            return Delivered() if record.outcome == "skipped" else Rejected("it has no time")
        is_own = record.resumed_from is None
        if is_own and record.invocation_id not in self._begun:
            verdict = self._begin(record.invocation_id, record.dbt_version, client, events)
            if not isinstance(verdict, Delivered):
                return verdict
        if is_own and record.outcome in FAILED:
            self._begun[record.invocation_id] = True
        verdict = client.emit(made)
        if isinstance(verdict, Delivered) and is_described:
            self._described.add(record.unique_id)
        return verdict

    def _send_run(self, record: RunRecord, client: Client, events: Events) -> Verdict:
        """The start, and the ends of all invocations. dbt's first event tells the invocation."""
        own = record.invocation_id
        has_ended = record.state != "running"
        if own is None and not has_ended:
            return Delivered()
        if own not in self._begun:
            verdict = self._begin(own, record.dbt_version, client, events)
            if not isinstance(verdict, Delivered):
                return verdict
        if not has_ended or self._ended == (own, record.finished_at):
            return Delivered()
        for node in self._undescribed(record, events):
            verdict = client.emit(events.of_node(node)[1:])
            if not isinstance(verdict, Delivered):
                return verdict
            self._described.add(node.unique_id)
        verdict = client.emit(self._ends(record, events))
        if isinstance(verdict, Delivered):
            self._ended = (own, record.finished_at)
        return verdict

    def _undescribed(self, run: RunRecord, events: Events) -> list[NodeRecord]:
        """The nodes whose ends are sent once more, with their tables and their SQL.

        dbt v2 writes its manifest when it ends.
        """
        if not is_v2(run.dbt_version):
            return []
        return [
            record
            for record in self._records()
            if isinstance(record, NodeRecord)
            and record.unique_id not in self._described
            and record.invocation_id == run.invocation_id
            and events.knows(record)
        ]

    def _begin(
        self, invocation_id: str | None, version: str | None, client: Client, events: Events
    ) -> Verdict:
        verdict = client.emit([events.start_of_run(invocation_id, version)])
        if isinstance(verdict, Delivered):
            self._begun[invocation_id] = False
        return verdict

    def _ends(self, record: RunRecord, events: Events) -> list[RunEvent]:
        """The end of each invocation; `record` tells how the last one ended."""
        made: list[RunEvent] = []
        for invocation_id, some_failed in self._begun.items():
            is_last = invocation_id == record.invocation_id
            has_failed = record.has_failed if is_last else some_failed
            made.append(events.end_of_run(invocation_id, record, has_failed=has_failed))
        return made
