"""When Airflow has begun and ended each try of a task instance."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Final

from ...records.values import is_array, is_object, number, text
from ..sink import Hold, Retry
from .api.answers import Answer, Content, Missing, read_content
from .reading import NoAnswerError, Reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from .api.settings import AirflowSettings

SKEW: Final = timedelta(seconds=5)
"""How far the clocks of Airflow's worker and of the relay may be apart."""


@dataclass(frozen=True, slots=True)
class Try:
    """One try; `ended_at` is None while it goes on."""

    number: int
    began_at: datetime
    ended_at: datetime | None

    def spans(self, moment: str) -> bool:
        """Whether a relay that began at this moment (RFC 3339) was of this try."""
        try:
            at = _instant(moment)
        except ValueError:
            return False
        return self.began_at - SKEW <= at and (self.ended_at is None or at <= self.ended_at + SKEW)


@dataclass(frozen=True, slots=True)
class Untold:
    """An Airflow whose API has no list of tries."""


def read_tries(
    settings: AirflowSettings, pause: Callable[[float], object] = time.sleep
) -> list[Try] | Untold | Retry | Hold:
    """Every try of the settings' task instance; else why not.

    Of a mapped task without a map index Airflow knows none: a Hold that says so. Airflow keeps what
    it says here for the DAG run: one that was deleted and made again has other times.
    """
    reader = Reader(settings, pause)
    answers: list[Answer] = []

    def ask(client: Any, token: str) -> Answer | Retry | Hold:
        answer = client.tries(token)
        if isinstance(answer, Answer):
            answers.append(answer)
        return answer

    try:
        return _tries(reader.get(ask).get("task_instances"))
    except NoAnswerError as error:
        is_absent = bool(answers) and answers[-1].status == 404
        if is_absent and answers[-1].detail in ("", "Not Found"):
            return Untold()
        if is_absent or isinstance(error.verdict, Retry):
            return _why(reader, settings, error.verdict)
        return error.verdict
    finally:
        reader.session.close()


def _why(reader: Reader, to: AirflowSettings, verdict: Retry | Hold) -> Untold | Retry | Hold:
    """Why there is no list: by Airflow's answer on the task, which says if that is mapped."""
    answer = reader.session.ask(lambda client, token: client.task_instance(to.task.task_id, token))
    meaning = read_content(answer, to) if isinstance(answer, Answer) else answer
    match meaning:
        case Retry() | Hold():
            return meaning
        case Content() if isinstance(verdict, Retry):
            return Untold()
        case Content() | Missing():
            return verdict


def _tries(listed: Any) -> list[Try]:
    found: list[Try] = []
    for entry in listed if is_array(listed) else ():
        if not is_object(entry):
            continue
        which, began, ended = (entry.get(n) for n in ("try_number", "start_date", "end_date"))
        try:
            if (known := number(which)) is not None and text(began):
                end = _instant(str(ended)) if text(ended) else None
                found.append(Try(known, _instant(str(began)), end))
        except ValueError:
            continue
    return found


def _instant(timestamp: str) -> datetime:
    """The time of a timestamp; Python 3.10 knows no `Z`, and only 3 or 6 digits of a fraction."""
    whole, point, rest = timestamp.replace("Z", "+00:00").partition(".")
    if point:
        digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
        whole += f".{digits[:6]:0<6}{rest[len(digits) :]}"
    at = datetime.fromisoformat(whole)
    return at if at.tzinfo is not None else at.replace(tzinfo=timezone.utc)
