"""Which run in the journal is the attempt before this one, of this very task instance.

A DAG run that is deleted and made again has the same ids, and so have the instances of a mapped
task without a map index, and the DAGs of two Airflows. Whatever leaves a doubt is an error.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from ...records.values import is_object
from .environment import differences
from .remaining import CannotResumeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...sinks import RunInfo
    from ...sinks.airflow.attempts import Attempt

    Known = tuple[int, RunInfo]

MADE_ANEW: Final = (
    "its DAG run was made anew, a script runs the same command twice, or the task is mapped and "
    "has no --map-index '{{ ti.map_index }}'"
)


class ElsewhereError(CannotResumeError):
    """The attempt before this one has left nothing here."""


def attempt_before(
    info: RunInfo, known: Sequence[Known], tries: Sequence[Attempt] | None
) -> Known | None:
    """The run of the attempt before `info`'s; None if nothing is known of any.

    `known` are the runs under the same ids in the order in which they began, `tries` what Airflow
    says of its tries, None where it was not asked. Raises CannotResumeError where it is in doubt
    which run that is, or whether it was the same dbt in the same place.
    """
    attempt = info.attempt or 0
    ours = [run for run in known if not _is_of_another_airflow(run[1], info)]
    if not any((run.attempt or 0) < attempt for _, run in ours):
        return None
    if tries is None:
        _check_order(attempt, ours)
    else:
        ours = _of_these_tries(info, ours, tries)
    before = [run for run in ours if run[1].attempt == attempt - 1]
    if not before:
        raise ElsewhereError(
            f"nothing is known of attempt {attempt - 1}, which may have run elsewhere"
        )
    same = [run for run in before if run[1].command == info.command]
    if not same:
        was = shlex.join(before[-1][1].command)
        raise CannotResumeError(f"the command of attempt {attempt - 1} was another ({was})")
    found = [run for run in same if not _difference(run[1], info)]
    if not found:
        raise CannotResumeError(
            f"attempt {attempt - 1} cannot be continued: {_difference(same[-1][1], info)}"
        )
    for number in range(1, attempt + 1) if tries is None else (attempt - 1, attempt):
        count = sum(
            run.attempt == number and run.command == info.command and not _difference(run, info)
            for _, run in ours
        )
        if count > (number < attempt):
            raise CannotResumeError(
                f"attempt {number} of it has run this command more than once: {MADE_ANEW}"
            )
    return found[0]


def environment_differs(mine: Mapping[str, str] | None, theirs: Mapping[str, str] | None) -> str:
    """What differs in what dbt runs in, or why that cannot be told; empty if nothing does."""
    if mine is None:
        return "what this one runs in cannot be told, as the project has too many files"
    if not is_object(theirs):
        return "what that one ran in is not known"
    found = differences(mine, theirs)
    return f"{' and '.join(found)} changed since" if found else ""


def check_try(attempt: int, began_at: str, tries: Sequence[Attempt]) -> None:
    """Raise CannotResumeError if a run that began then is not Airflow's try of this number."""
    if not any(t.number == attempt and t.spans(began_at) for t in tries):
        raise CannotResumeError(
            f"attempt {attempt}, which began at {began_at}, is not Airflow's try {attempt}: that "
            "DAG run was deleted and made anew, or it was another Airflow's"
        )


def _is_of_another_airflow(run: RunInfo, info: RunInfo) -> bool:
    return None not in (run.airflow_url, info.airflow_url) and run.airflow_url != info.airflow_url


def _difference(run: RunInfo, info: RunInfo) -> str:
    if run.airflow_url != info.airflow_url and run.environment is not None:
        return "the address of Airflow was another, or none"
    if run.project_dir != info.project_dir and run.environment is not None:
        return f"the project's folder was {run.project_dir}"
    return environment_differs(info.environment, run.environment)


def _of_these_tries(info: RunInfo, ours: Sequence[Known], tries: Sequence[Attempt]) -> list[Known]:
    """The runs of this very task instance, as Airflow's times tell."""
    newest = max((t.number for t in tries), default=None)
    if newest != info.attempt:
        raise CannotResumeError(f"Airflow is at try {newest}, and this is try {info.attempt}")
    found = [
        (number, run)
        for number, run in ours
        if any(t.number == run.attempt and t.spans(run.started_at) for t in tries)
    ]
    if not found:
        _, run = ours[-1]
        check_try(run.attempt or 0, run.started_at, tries)
    return found


def _check_order(attempt: int, ours: Sequence[Known]) -> None:
    """Whether the runs can all be of one task instance, whose attempts only ever count up."""
    highest = 0
    for _, run in ours:
        number = run.attempt or 0
        if number < highest or number > attempt:
            raise CannotResumeError(
                f"there is an attempt {max(number, highest)} of it, and an attempt "
                f"{min(number, attempt)} that began later: {MADE_ANEW}"
            )
        highest = number
