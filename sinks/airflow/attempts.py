"""When each attempt of a task instance began and ended; Airflow calls an attempt a try."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from ...records.instant import moment
from ...records.values import is_array, is_object, number, text
from ..sink import Hold, Retry
from .api.answers import Content, Missing, read_content
from .api.session import Session

if TYPE_CHECKING:
    from collections.abc import Callable

    from .api.answers import Answer
    from .api.settings import AirflowSettings

SKEW: Final = timedelta(seconds=5)
"""How far the clocks of Airflow's worker and of the relay may be apart."""

_TIMES: Final = 3
"""How often a request is made that fails."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt; `ended_at` is None while it goes on."""

    number: int
    began_at: datetime
    ended_at: datetime | None

    def spans(self, began: str) -> bool:
        """Whether a relay that began at this time (RFC 3339) belongs to this attempt."""
        try:
            at = moment(began)
        except ValueError:
            return False
        return self.began_at - SKEW <= at and (self.ended_at is None or at <= self.ended_at + SKEW)


@dataclass(frozen=True, slots=True)
class Untold:
    """The API of this Airflow has no list of tries."""


@dataclass(frozen=True, slots=True)
class _NotFound(Hold):
    """A 404. Airflow has such a path if the answer names an id."""

    names_id: bool = False


def read_attempts(
    settings: AirflowSettings, pause: Callable[[float], object] = time.sleep
) -> list[Attempt] | Untold | Retry | Hold:
    """Every attempt of the settings' task instance; else why not.

    For a mapped task without a map index it is a Hold that asks for the index. Airflow deletes the
    list with the DAG run: a run that is made again under the same id has other times.
    """
    session = Session(settings, pause)
    try:
        found = session.read(
            lambda client, token: client.attempts(token), _understand, times=_TIMES
        )
        match found:
            case Content(data):
                return _attempts(data.get("task_instances"))
            case Missing():
                return []
            case _NotFound(names_id=False):
                return Untold()
            case _NotFound() | Retry():
                return _why(session, settings, found)
            case Hold():
                return found
    finally:
        session.close()


def _understand(answer: Answer, to: AirflowSettings) -> Content | Missing | Retry | Hold:
    meaning = read_content(answer, to)
    if answer.status == 404 and isinstance(meaning, Hold):
        names_id = answer.names_missing_id
        return _NotFound(meaning.reason, meaning.seen, meaning.may_pass, names_id=names_id)
    return meaning


def _why(session: Session, to: AirflowSettings, verdict: Retry | Hold) -> Untold | Retry | Hold:
    """Why there is no list: Airflow's answer about the task says if the task is mapped."""
    task_id = to.task.task_id
    found = session.read(lambda client, token: client.task_instance(task_id, token))
    match found:
        case Retry() | Hold():
            return found
        case Content() if isinstance(verdict, Retry):
            return Untold()
        case Content() | Missing():
            return verdict


def _attempts(listed: Any) -> list[Attempt]:
    found: list[Attempt] = []
    for entry in listed if is_array(listed) else ():
        if not is_object(entry):
            continue
        which, began, ended = (entry.get(n) for n in ("try_number", "start_date", "end_date"))
        try:
            if (known := number(which)) is not None and text(began):
                end = moment(str(ended)) if text(ended) else None
                found.append(Attempt(known, moment(str(began)), end))
        except ValueError:
            continue
    return found
