"""Records as XComs of an Airflow task."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from ...parser.records import RunRecord
from ..base import Delivered, Hold, Retry, Verdict
from .answers import Exists, Missing, Unauthenticated, read_answer
from .keys import xcom_key
from .login import Token
from .payload import xcom_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...parser.records import Record
    from .answers import Method
    from .client import Client
    from .settings import AirflowSettings

_RACES = 3


class AirflowSink:
    """Writes each record under its key: one request, where nothing of that key was there before.

    `warn` is told once what a person should know of this Airflow.
    """

    most_workers = 16

    def __init__(self, settings: AirflowSettings, warn: Callable[[str], object] = print) -> None:
        self.name = "airflow"
        self.address = settings.address
        self.writes = 0
        self._to = settings
        self._warn = warn
        self._written: set[str] = set()
        self._opening = threading.Lock()
        self._opened: tuple[Client, Token] | None = None
        self._has_noted = False

    def send(self, record: Record) -> Verdict:
        opened = self._open()
        if isinstance(opened, Hold):
            return opened
        client, token = opened
        if isinstance(record, RunRecord):
            key = self._to.key_prefix + record.key
        else:
            key = xcom_key(record.key, self._to.key_prefix)
        value = xcom_value(record.to_json(), self._to.max_message_bytes)
        verdict = self._write(client, token, key, value)
        if isinstance(verdict, Delivered):
            self._written.add(key)
        if not isinstance(verdict, Retry):
            self._note_version(client)
        return verdict

    def close(self) -> None:
        if self._opened is not None:
            self._opened[0].close()

    def _open(self) -> tuple[Client, Token] | Hold:
        with self._opening:
            if self._opened is None:
                try:
                    from .client import Client  # noqa: PLC0415 - takes a second and 67 MB
                except ImportError as error:
                    return Hold(
                        f"apache-airflow-client cannot be imported ({error}): reinstall dbt-relay, "
                        "best in an environment of its own"
                    )

                client = Client(self._to)
                self._opened = client, Token(self._to.login, client.log_in)
            return self._opened

    def _write(self, client: Client, token: Token, key: str, value: dict[str, Any]) -> Verdict:
        method: Method = "PATCH" if key in self._written else "POST"
        bearer = token.get()
        renewed = False
        for _ in range(_RACES):
            if not isinstance(bearer, str):
                return bearer
            self.writes += 1
            answer = client.write(method, key, value, bearer)
            if isinstance(answer, (Retry, Hold)):
                return answer
            match read_answer(method, answer, self._to):
                case Exists():
                    method = "PATCH"
                case Missing():
                    method = "POST"
                case Unauthenticated(reason):
                    if renewed or not token.is_renewable:
                        return Hold(
                            f"Airflow at {self._to.url} does not accept the token ({reason}): "
                            "renew it where DBT_RELAY_AIRFLOW_TOKEN… gets it from"
                        )
                    bearer, renewed = token.renew(bearer), True
                case verdict:
                    return verdict
        return Retry("another writer of the same XCom is at work")

    def _note_version(self, client: Client) -> None:
        """Asked once, of an Airflow that is known to answer."""
        with self._opening:
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
