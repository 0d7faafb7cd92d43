"""Records read back from XCom: what an earlier attempt left, where its journal is gone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from ...records.schema import read_record
from ...records.values import is_array, is_object, number, text
from ...records.xcom import as_sent
from ..sink import Hold, Retry
from .api.answers import Answer, Content, Missing, read_content
from .api.session import Session
from .wire import key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ...records.schema import Record
    from .api.client import Client
    from .api.settings import AirflowSettings

_TRIES: Final = 3
_LONGEST_PAUSE: Final = 5.0


def read_records(
    settings: AirflowSettings, pause: Callable[[float], object] = time.sleep
) -> dict[str, Record] | Retry | Hold:
    """Every record under the settings' task and map index, by `record.key`; else why not.

    One request for each, as no list of Airflow has values. What is no record of this key prefix is
    left out. A request that fails is made three times, with pauses of at most 5 s.
    """
    reader = Reader(settings, pause)
    try:
        return dict(reader.records())
    except NoAnswerError as error:
        return error.verdict
    finally:
        reader.session.close()


class NoAnswerError(Exception):
    """Why there is no answer."""

    def __init__(self, verdict: Retry | Hold) -> None:
        super().__init__(verdict.reason)
        self.verdict = verdict


class Reader:
    """Asks one Airflow, patiently. `session` is to be closed."""

    def __init__(self, settings: AirflowSettings, pause: Callable[[float], object]) -> None:
        self.session = Session(settings)
        self._to = settings
        self._pause = pause
        self._has_worked = False

    def records(self) -> Iterator[tuple[str, Record]]:
        # The keys first: a page would shift if an XCom came or went between two of them.
        for key in list(dict.fromkeys(self._keys())):
            found = self.get(lambda client, token, key=key: client.xcom(key, token))
            record = read_record(as_sent(found.get("value")))
            if record is not None and key_of(record, self._to.key_prefix) == key:
                yield record.key, record

    def _keys(self) -> Iterator[str]:
        offset = 0
        while True:
            page = self.get(lambda client, token, at=offset: client.xcoms(at, token))
            entries = page.get("xcom_entries")
            if not is_array(entries) or not entries:
                return
            for entry in entries:
                key = text(entry.get("key")) if is_object(entry) else None
                if key is None or not key.startswith(self._to.key_prefix):
                    continue
                # An Airflow that does not know the filter passes over it and lists them all.
                if entry.get("map_index", -1) == self._to.task.map_index:
                    yield key
            offset += len(entries)
            if offset >= (number(page.get("total_entries")) or 0):
                return

    def get(self, request: Callable[[Client, str], Answer | Retry | Hold]) -> dict[str, Any]:
        """What a GET brought; empty where it is gone meanwhile. Raises NoAnswerError."""
        for pauses_left in reversed(range(_TRIES)):
            answer = self.session.ask(request)
            meaning = read_content(answer, self._to) if isinstance(answer, Answer) else answer
            match meaning:
                case Content(data):
                    self._has_worked = True
                    return data
                case Missing():
                    return {}
                case Retry(_, after) if pauses_left:
                    self._pause(min(_LONGEST_PAUSE, max(after or 0.0, _TRIES - pauses_left)))
                case Hold() if pauses_left and (self._has_worked or meaning.may_pass):
                    self._pause(_TRIES - pauses_left)
                case Retry() | Hold():
                    raise NoAnswerError(meaning)
        raise AssertionError  # the last try returns or raises
