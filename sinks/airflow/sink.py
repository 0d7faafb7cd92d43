"""Records as XComs of an Airflow task, in the form that its readers want."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ...records.schema import NodeRecord, RunRecord, read_record
from ...records.xcom import as_sent
from ..sink import Delivered, Hold, Rejected, Retry, Verdict
from .api.answers import Answer, Content, Exists, Missing, read_answer, read_content
from .api.session import Session
from .cosmos import CosmosWire, shared
from .note import write_task_note
from .staleness import Attempts, newer
from .wire import RelayWire

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...records.schema import Record
    from .api.answers import Write
    from .api.client import Client
    from .api.settings import AirflowSettings
    from .wire import Entry, Wire

_RACES = 3


class AirflowSink:
    """Writes each record under its keys: one request for each that was not there before.

    What is there is looked at before it is replaced, as it may be of a newer attempt. `warn` is
    told once what a person should know of this Airflow.
    """

    most_workers = 16

    def __init__(self, settings: AirflowSettings, warn: Callable[[str], object] = print) -> None:
        self.name = "airflow"
        self.address = settings.address
        self.writes = 0
        self._to = settings
        self._warn = warn
        is_for_cosmos = settings.wire == "cosmos"
        self._wire: Wire = CosmosWire(settings) if is_for_cosmos else RelayWire(settings)
        self._written: dict[str, Any] = {}
        """Keys that are known to be there; what cannot tell its age with its value."""
        self._session = Session(settings)
        self._attempts = Attempts(self._session, settings)
        self._noting = threading.Lock()
        self._has_noted = False
        lies_elsewhere = settings.xcom_task != settings.task.task_id
        own = replace(settings, xcom_task_id=None, wire="relay") if lies_elsewhere else None
        self._at_home = AirflowSink(own, warn) if own is not None else None
        """Writes the run's record at the task that runs dbt, too, when the others lie elsewhere.
        Airflow deletes it there at the next try: so it tells who waits which try is at work."""

    def learn(self, record: Record) -> None:
        self._wire.learn(record)

    def send(self, record: Record) -> Verdict:
        if self._to.renews and isinstance(record, RunRecord):
            return Delivered()
        if self._at_home is not None and isinstance(record, RunRecord):
            verdict = self._at_home.send(record)
            if not isinstance(verdict, Delivered):
                return verdict
        return self._send_all(record)

    def _send_all(self, record: Record) -> Verdict:
        rejected: Rejected | None = None
        verdict: Verdict | None = None
        with self._wire.turn(record):
            entries = self._wire.entries(record)
            if not entries and not self._to.force:
                # What says nothing by itself must not pass for a sign that Airflow is there.
                return self._attempts.check(record) or Delivered()
            for entry in entries:
                if isinstance(entry, Rejected):
                    rejected = entry
                    continue
                if entry.witness is not None and self._written.get(entry.key) == entry.value:
                    continue
                verdict = self._send(record, entry)
                if isinstance(verdict, Rejected):
                    rejected = verdict
                elif not isinstance(verdict, Delivered):
                    break
        if verdict is not None and not isinstance(verdict, Retry):
            self._note_version()
        if isinstance(verdict, (Retry, Hold)):
            return verdict
        return rejected or Delivered()

    def _send(self, record: Record, entry: Entry) -> Verdict:
        verdict = None if self._to.force else self._attempts.check(record)
        if verdict is None:
            verdict = self._write(entry)
            if isinstance(verdict, Delivered):
                self._written[entry.key] = None if entry.witness is None else entry.value
            else:
                self._attempts.forget()
        return verdict

    def write_note(
        self,
        compose: Callable[[str], str | None],
        *,
        attempt: int | None,
        timeout: float,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> str | None:
        """Write the note of the task that runs dbt: see `write_task_note`."""
        return write_task_note(
            self._session,
            self._to,
            compose,
            attempt=attempt,
            timeout=timeout,
            interrupted=interrupted,
            has_worked=bool(self._written),
        )

    def close(self) -> None:
        self._session.close()
        if self._at_home is not None:
            self._at_home.close()

    def _write(self, entry: Entry) -> Verdict:
        key, value = entry.key, entry.value
        method: Write = "PATCH" if key in self._written else "POST"
        for _ in range(_RACES):
            if method == "PATCH" and not self._to.force:
                # Airflow has no conditional write: what another try writes between this look and
                # the PATCH is replaced all the same.
                obstacle = self._look(entry)
                if isinstance(obstacle, Missing):
                    method = "POST"
                elif obstacle is not None:
                    return obstacle
            answer = self._request(method, key, value)
            if not isinstance(answer, Answer):
                return answer
            match read_answer(method, answer, self._to):
                case Exists():
                    method = "PATCH"
                case Missing():
                    method = "POST"
                case verdict:
                    return verdict
        return Retry("another writer of the same XCom is at work")

    def _look(self, entry: Entry) -> Verdict | Missing | None:
        """Why what is there under this key is not to be replaced; None if it is."""
        there = self._read(entry.key)
        if not isinstance(there, _Found):
            return there
        if there.value == entry.value:
            return Delivered()
        if entry.witness is not None:
            there = self._read(entry.witness)
            if isinstance(there, Missing):
                return None
            if not isinstance(there, _Found):
                return there
        stamp = self._wire.stamp(there.value)
        known = read_record(stamp)
        if isinstance(known, NodeRecord) and known.key != entry.age.key:
            return shared(entry.key, entry.age.key, known.key)
        return newer(entry.age, stamp)

    def _read(self, key: str) -> _Found | Missing | Retry | Hold:
        answer = self._session.ask(lambda client, token: client.xcom(key, token))
        if not isinstance(answer, Answer):
            return answer
        content = read_content(answer, self._to)
        if not isinstance(content, Content):
            return content
        return _Found(as_sent(content.data.get("value")))

    def _request(self, method: Write, key: str, value: Any) -> Answer | Retry | Hold:
        def write(client: Client, token: str) -> Answer | Retry | Hold:
            self.writes += 1
            return client.write(method, key, value, token)

        return self._session.ask(write)

    def _note_version(self) -> None:
        """Asked once, of an Airflow that is known to answer."""
        client = self._session.client
        if isinstance(client, Hold):
            return
        with self._noting:
            if self._has_noted:
                return
            self._has_noted = True
        version = client.version()
        if version is not None and version.startswith(("3.0.", "3.1.")):
            self._warn(
                f"Airflow {version} stores a value that comes over its API as JSON text: consumers "
                "have to json.loads what they pull (fixed in 3.2)"
            )
        elif version is not None and version.startswith(("1.", "2.")):
            self._warn(f"Airflow {version} cannot write XComs over its API: it takes 3.0 or newer")


@dataclass(frozen=True, slots=True)
class _Found:
    """The value of an XCom."""

    value: Any
