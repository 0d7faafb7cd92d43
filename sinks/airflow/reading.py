"""What Airflow has: the records of a task, and the state of the task that others wait for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from ...records.schema import read_record
from ...records.values import is_array, is_object, number, text
from ...records.xcom import xcom_value
from ..sink import Hold, Retry
from .api.answers import Answer, Content, Missing, read_content
from .api.session import Session
from .missing_id import find_missing_id
from .payload import key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ...records.schema import Record
    from .api.settings import AirflowSettings

_TIMES: Final = 3
"""How often a request is made that fails."""


class UnreadError(Exception):
    """Airflow did not answer, or not with what was asked for: `verdict` says why."""

    def __init__(self, verdict: Retry | Hold) -> None:
        super().__init__(verdict.reason)
        self.verdict = verdict


def read_records(
    settings: AirflowSettings, pause: Callable[[float], object] = time.sleep
) -> dict[str, Record] | Retry | Hold:
    """Every record of the settings' task and map index, by `record.key`; else why not.

    Takes one request for each record, as Airflow's lists of XComs have no values. Skips XComs that
    are no records, or have another key prefix. A request that fails is made three times, with
    pauses of at most 5 s.
    """
    session = Session(settings, pause)
    try:
        # All keys first: a page would shift if an XCom came or went between two of them.
        keys = list(dict.fromkeys(_keys(session, settings)))
        return {r.key: r for r in (_record(session, settings, key) for key in keys) if r}
    except UnreadError as error:
        return error.verdict
    finally:
        session.close()


def _keys(session: Session, to: AirflowSettings) -> Iterator[str]:
    """The keys of the XComs that may be records. Raises UnreadError."""
    offset = 0
    while True:
        page = _content(
            session.read(lambda client, token, at=offset: client.xcoms(at, token), times=_TIMES)
        )
        entries = page.get("xcom_entries")
        if not is_array(entries) or not entries:
            return
        for entry in entries:
            key = text(entry.get("key")) if is_object(entry) else None
            if key is None or not key.startswith(to.key_prefix):
                continue
            # An Airflow that does not know the filter by map index ignores it and lists them all.
            if entry.get("map_index", -1) == to.task.map_index:
                yield key
        offset += len(entries)
        if offset >= (number(page.get("total_entries")) or 0):
            return


def _record(session: Session, to: AirflowSettings, key: str) -> Record | None:
    """The record under this key, None if it is none or gone meanwhile. Raises UnreadError."""
    found = _content(session.read(lambda client, token: client.xcom(key, token), times=_TIMES))
    record = read_record(xcom_value(found.get("value")))
    return record if record is not None and key_of(record, to.key_prefix) == key else None


def _content(found: Content | Missing | Retry | Hold) -> dict[str, Any]:
    """The JSON object, empty if nothing is there. Raises UnreadError."""
    match found:
        case Content(data):
            return data
        case Missing():
            return {}
        case Retry() | Hold():
            raise UnreadError(found)


class Watch:
    """Reads one task instance and its XComs, with a request for each call. Each raises UnreadError.

    It is the `Reader` of consumer/waiting/look.py. It ignores the arguments that say where to look:
    they are for readers of several tasks.
    """

    def __init__(self, settings: AirflowSettings) -> None:
        self._to = settings
        self._session = Session(settings)
        self._try_number: int | None = None

    def state(self, _: object = None) -> str | None:
        """Airflow's word for the task's state, None if the task is not scheduled yet."""
        task_id = self._to.task.task_id
        found = self._session.read(
            lambda client, token: client.task_instance(task_id, token), self._understand
        )
        told = _content(found)
        self._try_number = number(told.get("try_number"))
        return text(told.get("state"))

    def try_number(self, _: object = None) -> int | None:
        """The try that Airflow was at when the state was read."""
        return self._try_number

    def xcom(self, _: object, key: str) -> Any:
        """An XCom's value, None where there is none."""
        found = self._session.read(lambda client, token: client.xcom(key, token))
        return _content(found).get("value")

    def close(self) -> None:
        self._session.close()

    def _understand(self, answer: Answer, to: AirflowSettings) -> Content | Missing | Retry | Hold:
        """A task instance that Airflow does not have is looked for, to name the wrong id."""
        if answer.names_missing_id and not answer.asks_for_map_index:
            return find_missing_id(self._session, to)
        return read_content(answer, to)
