"""Writes XComs of one Airflow task, and never a value over a newer one."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ...records.xcom import xcom_value
from ..sink import Delivered, Hold, Rejected, Retry, Verdict
from .api.answers import Answer, Content, Exists, Missing, read_answer
from .api.current_attempt import CurrentAttempt
from .api.session import Session
from .staleness import refuse_past_attempt

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...records.schema import Record
    from .api.answers import Write
    from .api.client import Client
    from .api.settings import AirflowSettings

    Obstacle = Callable[[Any], Verdict | None]
    """Why a value that Airflow has is not replaced; None if it is."""

DECODE: Final = "call json.loads on a pulled record, twice if that returns text (fixed in 3.2)"
_RACES: Final = 3
"""How often another writer may come between a look and a write."""


@dataclass(frozen=True, slots=True)
class Found:
    """The value of an XCom."""

    value: Any


class XComWriter:
    """Takes one request for each XCom that was not there before: a POST.

    If the XCom exists, its value is looked at, and a PATCH replaces it. `warn` is told once what a
    person should know about this Airflow. `session` may be used for other requests.
    """

    def __init__(
        self, settings: AirflowSettings, warn: Callable[[str], object] | None = None
    ) -> None:
        self.session = Session(settings)
        self.writes = 0
        self.current_attempt = CurrentAttempt(self.session, settings)
        self._to = settings
        self._warn = warn
        self._warning = threading.Lock()
        self._existing: set[str] = set()
        """Keys that are known to exist."""

    @property
    def has_written(self) -> bool:
        return bool(self._existing)

    def check(self, record: Record) -> Rejected | Retry | Hold | None:
        """Why the record must not be written now: its attempt is over, or no answer comes.

        None if it may be. A record of a saved log has no attempt.
        """
        if self._to.force or record.attempt is None:
            return None
        current = self.current_attempt.number()
        if isinstance(current, (Retry, Hold)):
            return current
        return refuse_past_attempt(record, current, self._to.task.task_id)

    def write(self, record: Record, key: str, value: Any, obstacle: Obstacle) -> Verdict:
        """Write the value that a record gives to a key.

        `obstacle` is asked about the value that is there, unless that is the same value.
        """
        verdict = self.check(record)
        if verdict is None:
            verdict = self._write(key, value, obstacle)
            if isinstance(verdict, Delivered):
                self._existing.add(key)
            else:
                self.current_attempt.ask_again()
        if not isinstance(verdict, Retry):
            self._say_what_is_missing()
        return verdict

    def read(self, key: str) -> Found | Missing | Retry | Hold:
        """The value of an XCom."""
        content = self.session.read(lambda client, token: client.xcom(key, token))
        if not isinstance(content, Content):
            return content
        return Found(xcom_value(content.data.get("value")))

    def close(self) -> None:
        self.session.close()

    def _write(self, key: str, value: Any, obstacle: Obstacle) -> Verdict:
        method: Write = "PATCH" if key in self._existing else "POST"
        for _ in range(_RACES):
            if method == "PATCH" and not self._to.force:
                # Airflow has no conditional write: a value that another try writes between this
                # look and the PATCH is replaced all the same.
                reason = self._look(key, value, obstacle)
                if isinstance(reason, Missing):
                    method = "POST"
                elif reason is not None:
                    return reason
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
        return Retry("another process is writing the same XCom")

    def _look(self, key: str, value: Any, obstacle: Obstacle) -> Verdict | Missing | None:
        """Why the value that is there is not replaced; None if it is."""
        there = self.read(key)
        if not isinstance(there, Found):
            return there
        return Delivered() if there.value == value else obstacle(there.value)

    def _request(self, method: Write, key: str, value: Any) -> Answer | Retry | Hold:
        def write(client: Client, token: str) -> Answer | Retry | Hold:
            self.writes += 1
            return client.write(method, key, value, token)

        return self.session.ask(write)

    def _say_what_is_missing(self) -> None:
        """Warn, once, of what this Airflow or this user cannot do. Airflow has answered before."""
        client = self.session.client
        if isinstance(client, Hold):
            return
        with self._warning:
            warn, self._warn = self._warn, None
        if warn is None:
            return
        if self.current_attempt.refusal is not None:
            warn(
                f"Airflow does not tell the try of task {self._to.task.task_id!r} "
                f"({self.current_attempt.refusal}), so a record of an earlier try can replace a "
                "newer one: let the user read task instances, as `dbt-relay doctor` checks"
            )
        version = client.version()
        if version is not None and version.startswith(("3.0.", "3.1.")):
            warn(
                f"Airflow {version} returns a record that came over its API as JSON text: {DECODE}"
            )
        elif version is not None and version.startswith(("1.", "2.")):
            warn(f"Airflow {version} cannot take XComs over its API: use 3.0 or newer")
