"""Records as XComs of an Airflow task."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from ...parser.keys import xcom_key
from ...parser.records import RunRecord
from ...parser.values import as_sent
from ..base import Delivered, Hold, Retry, Verdict
from .answers import Answer, Content, Exists, Missing, read_answer, read_content
from .attempts import Attempts, newer
from .payload import xcom_value
from .session import Session
from .task_note import write_task_note

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...parser.records import Record
    from .answers import Write
    from .client import Client
    from .settings import AirflowSettings

_RACES = 3


class AirflowSink:
    """Writes each record under its key: one request, where nothing of that key was there before.

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
        self._written: set[str] = set()
        self._session = Session(settings)
        self._attempts = Attempts(self._session, settings)
        self._noting = threading.Lock()
        self._has_noted = False

    def send(self, record: Record) -> Verdict:
        verdict = None if self._to.force else self._attempts.check(record)
        if verdict is None:
            key = key_of(record, self._to.key_prefix)
            verdict = self._write(record, key)
            if isinstance(verdict, Delivered):
                self._written.add(key)
            else:
                self._attempts.forget()
        if not isinstance(verdict, Retry):
            self._note_version()
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
        )

    def close(self) -> None:
        self._session.close()

    def _write(self, record: Record, key: str) -> Verdict:
        value = xcom_value(record.to_json(), self._to.max_message_bytes)
        method: Write = "PATCH" if key in self._written else "POST"
        for _ in range(_RACES):
            if method == "PATCH" and not self._to.force:
                # Airflow has no conditional write: what another try writes between this look and
                # the PATCH is replaced all the same.
                obstacle = self._look(record, key, value)
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

    def _look(self, record: Record, key: str, value: dict[str, Any]) -> Verdict | Missing | None:
        """Why what is there under this key is not to be replaced with `value`; None if it is."""
        answer = self._session.ask(lambda client, token: client.xcom(key, token))
        if not isinstance(answer, Answer):
            return answer
        content = read_content(answer, self._to)
        if not isinstance(content, Content):
            return content
        there = as_sent(content.data.get("value"))
        return Delivered() if there == value else newer(record, there)

    def _request(self, method: Write, key: str, value: dict[str, Any]) -> Answer | Retry | Hold:
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


def key_of(record: Record, prefix: str) -> str:
    """The XCom key of a record."""
    if isinstance(record, RunRecord):
        return prefix + record.key
    return xcom_key(record.key, prefix)
