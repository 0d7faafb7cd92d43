"""Which run in the journal is the attempt before this one, of the same task instance.

A DAG run that is deleted and created again has the same ids. So do the instances of a mapped task
without a map index, and the DAGs of two Airflows. Any doubt is an error.
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

    NumberedRun = tuple[int, RunInfo]
    """A run's number in the journal, and its description."""

AMBIGUOUS: Final = (
    "the DAG run was deleted and created again, a script runs the same command twice, or the task "
    "is mapped and has no --map-index '{{ ti.map_index }}'"
)


class ElsewhereError(CannotResumeError):
    """The attempt before this one has left nothing here."""


def attempt_before(
    info: RunInfo, runs: Sequence[NumberedRun], in_airflow: Sequence[Attempt] | None
) -> NumberedRun | None:
    """The run of the attempt before the run of `info`; None if no earlier attempt is known.

    `runs` are the runs under the same ids, in the order in which they began. `in_airflow` are the
    attempts that Airflow knows, None where it was not asked. Raises CannotResumeError where it is
    in doubt which run it is, or whether it had the same dbt in the same place.
    """
    attempt = info.attempt or 0
    ours = [run for run in runs if not _is_of_another_airflow(run[1], info)]
    if not any((run.attempt or 0) < attempt for _, run in ours):
        return None
    if in_airflow is None:
        _check_order(attempt, ours)
    else:
        ours = _of_this_instance(info, ours, in_airflow)
    before = [run for run in ours if run[1].attempt == attempt - 1]
    if not before:
        raise ElsewhereError(
            f"attempt {attempt - 1} left nothing here; it may have run on a different machine"
        )
    same = [run for run in before if run[1].command == info.command]
    if not same:
        was = shlex.join(before[-1][1].command)
        raise CannotResumeError(f"attempt {attempt - 1} ran a different command ({was})")
    found = [run for run in same if not _difference(run[1], info)]
    if not found:
        raise CannotResumeError(
            f"attempt {attempt - 1} cannot be continued: {_difference(same[-1][1], info)}"
        )
    first = 1 if in_airflow is None else attempt - 1
    _check_once_each(range(first, attempt + 1), info, [run for _, run in ours])
    return found[0]


def environment_differs(mine: Mapping[str, str] | None, theirs: Mapping[str, str] | None) -> str:
    """Which parts of two environments differ, or why nobody can tell; empty if none does."""
    if mine is None:
        return "its environment cannot be compared, because the project has too many files"
    if not is_object(theirs):
        return "its environment is unknown"
    found = differences(mine, theirs)
    return f"{' and '.join(found)} changed since" if found else ""


def check_try(attempt: int, began_at: str, in_airflow: Sequence[Attempt]) -> None:
    """Raise CannotResumeError if a run that began then is not Airflow's try of this number."""
    if not any(known.number == attempt and known.spans(began_at) for known in in_airflow):
        raise CannotResumeError(
            f"attempt {attempt}, which began at {began_at}, is not Airflow's try {attempt}: the "
            "DAG run was deleted and created again, or the attempt belongs to another Airflow"
        )


def _is_of_another_airflow(run: RunInfo, info: RunInfo) -> bool:
    return None not in (run.airflow_url, info.airflow_url) and run.airflow_url != info.airflow_url


def _difference(run: RunInfo, info: RunInfo) -> str:
    """How the place of an earlier run was different; empty if it was the same."""
    if run.airflow_url != info.airflow_url and run.environment is not None:
        return "the Airflow address was different or not set"
    if run.project_dir != info.project_dir and run.environment is not None:
        return f"the project's folder was {run.project_dir}"
    return environment_differs(info.environment, run.environment)


def _of_this_instance(
    info: RunInfo, ours: Sequence[NumberedRun], in_airflow: Sequence[Attempt]
) -> list[NumberedRun]:
    """The runs that began within an attempt of this task instance, by Airflow's times."""
    newest = max((known.number for known in in_airflow), default=None)
    if newest != info.attempt:
        raise CannotResumeError(f"Airflow is at try {newest}, and this is try {info.attempt}")
    found = [
        (number, run)
        for number, run in ours
        if any(a.number == run.attempt and a.spans(run.started_at) for a in in_airflow)
    ]
    if not found:
        _, run = ours[-1]
        check_try(run.attempt or 0, run.started_at, in_airflow)
    return found


def _check_order(attempt: int, ours: Sequence[NumberedRun]) -> None:
    """Check that the runs can all be of one task instance, whose attempts only count up."""
    highest = 0
    for _, run in ours:
        its_attempt = run.attempt or 0
        if its_attempt < highest or its_attempt > attempt:
            raise CannotResumeError(
                f"attempt {min(its_attempt, attempt)} began after attempt "
                f"{max(its_attempt, highest)}: {AMBIGUOUS}"
            )
        highest = its_attempt


def _check_once_each(attempts: range, info: RunInfo, ours: Sequence[RunInfo]) -> None:
    """Check that each attempt has run the command once, and the last of them, ours, not yet."""
    for attempt in attempts:
        count = sum(
            run.attempt == attempt and run.command == info.command and not _difference(run, info)
            for run in ours
        )
        if count > (attempt < attempts[-1]):
            raise CannotResumeError(
                f"attempt {attempt} ran this command more than once: {AMBIGUOUS}"
            )
