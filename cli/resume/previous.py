"""What is known of the attempt before this one: from the journal, or from XCom."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from ...records import NodeRecord, RunRecord
from ...records.values import number, text
from ...sinks import Hold, Retry
from ...sinks.journal import history
from ..output.notice import notice
from .attempts import ElsewhereError, attempt_before, check_try, environment_differs
from .remaining import CannotResumeError
from .resumption import PreviousAttempt

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ...records import Record
    from ...sinks import Journal, RunInfo
    from ...sinks.airflow import AirflowSettings
    from ...sinks.airflow.attempts import Attempt
    from ...sinks.channel import Channel


def previous_attempt(
    journal: Journal,
    info: RunInfo,
    lasting_airflow: AirflowSettings | None,
    known_airflow: AirflowSettings | None = None,
    channel: Channel | None = None,
) -> PreviousAttempt | None:
    """The attempt before the run of `info`, of the same task instance; None if none is known.

    A new pod has no journal of it. There the records may be XComs of another task than the one
    that Airflow has just cleared: `lasting_airflow` says where, if there is such a task.
    `known_airflow` knows the task's attempts. `channel` leads to an operator that may have kept the
    records in Airflow's state store. Raises CannotResumeError where anything about the
    attempt is in doubt.
    """
    runs = history.attempts(journal, info)
    in_airflow = _AirflowsAttempts(known_airflow or lasting_airflow)
    doubt: CannotResumeError | None = None
    if any((run.attempt or 0) < (info.attempt or 0) for _, run in runs):
        try:
            before = attempt_before(info, runs, in_airflow.read())
            if before is not None:
                return _from_journal(journal, *before)
        except ElsewhereError as error:
            doubt = error
    found = None
    if channel is not None and (kept := channel.earlier()):
        found = _from_records(info, kept, None)
    elif lasting_airflow is not None:
        found = _from_xcom(info, lasting_airflow, in_airflow)
    if found is None and doubt is not None:
        raise doubt
    return found


class _AirflowsAttempts:
    """What Airflow knows of this task's attempts: asked for once, and only if that matters."""

    def __init__(self, airflow: AirflowSettings | None) -> None:
        self._airflow = airflow
        self._answer: list[Attempt] | None = None
        self._is_read = airflow is None

    def read(self) -> list[Attempt] | None:
        """The attempts; None where no Airflow can be asked, and the journal alone decides.

        Raises CannotResumeError if Airflow does not answer, or not to this: the task may be
        mapped, say.
        """
        if self._is_read or self._airflow is None:
            return self._answer
        # Takes Airflow's client: a second.
        from ...sinks.airflow.attempts import Untold, read_attempts  # noqa: PLC0415

        answer = read_attempts(self._airflow)
        if isinstance(answer, (Retry, Hold)):
            raise CannotResumeError(f"Airflow did not report which try this is: {answer.reason}")
        self._is_read = True
        self._answer = None if isinstance(answer, Untold) else answer
        return self._answer


def _from_journal(journal: Journal, run_number: int, run: RunInfo) -> PreviousAttempt:
    records = [*history.records(journal, run_number).values()]
    return _attempt(run.attempt or 0, records, run.command, run.target_dir)


def _from_xcom(
    info: RunInfo, airflow: AirflowSettings, in_airflow: _AirflowsAttempts
) -> PreviousAttempt | None:
    """The attempt before this one, as its records in XCom tell it."""
    from ...sinks.airflow.reading import read_records  # noqa: PLC0415 - takes Airflow's client

    found = read_records(airflow)
    if not isinstance(found, dict):
        notice(f"the records of an earlier attempt cannot be read: {found.reason}")
        return None
    return _from_records(info, found.values(), in_airflow)


def _from_records(
    info: RunInfo, found: Collection[Record], in_airflow: _AirflowsAttempts | None
) -> PreviousAttempt | None:
    """The attempt before this one, of which Airflow still has these records.

    `in_airflow` is None for records that Airflow itself keeps with the task instance.
    """
    attempt = (info.attempt or 0) - 1
    older = [r for r in found if (number(r.attempt) or attempt + 1) <= attempt]
    if not older:
        return None
    own = [r for r in older if r.attempt == attempt]
    run = next((r for r in own if isinstance(r, RunRecord)), None)
    if run is None:
        newest = max(r.attempt or 0 for r in older)
        raise CannotResumeError(
            f"Airflow has no record of the run of attempt {attempt}: its records are of attempt "
            f"{newest}, or of nodes that were run again"
        )
    if in_airflow is not None and (known := in_airflow.read()) is not None:
        check_try(attempt, text(run.started_at) or "", known)
    if differs := environment_differs(info.environment, run.environment):
        raise CannotResumeError(f"attempt {attempt} cannot be continued: {differs}")
    command = tuple(shlex.split(text(run.command) or ""))
    return _attempt(attempt, _of_run(run, own), command, None)


def _of_run(run: RunRecord, records: Sequence[Record]) -> list[Record]:
    """The run's record and the records of its nodes.

    Other nodes of the same attempt were run again, for a task that waited.
    """
    nodes = [r for r in records if isinstance(r, NodeRecord) and not r.renewed]
    own = {r.invocation_id for r in nodes if r.resumed_from is None}
    if run.invocation_id is not None or len(own) > 1:
        own = {run.invocation_id}
    return [run, *(r for r in nodes if r.resumed_from is not None or r.invocation_id in own)]


def _attempt(
    attempt: int, records: Sequence[Record], command: tuple[str, ...], target_dir: str | None
) -> PreviousAttempt:
    nodes = {r.key: r for r in records if isinstance(r, NodeRecord)}
    run = next((r for r in records if isinstance(r, RunRecord)), None)
    if not nodes:
        raise CannotResumeError(f"no node ran in attempt {attempt}")
    has_finished = run is not None and run.state == "finished"
    return PreviousAttempt(
        attempt=attempt,
        command=command,
        exit_code=run.exit_code if run is not None and has_finished else None,
        invocation_ids=_invocations(nodes),
        target_dir=Path(target_dir) if target_dir else None,
        records=nodes,
    )


def _invocations(nodes: Mapping[str, NodeRecord]) -> tuple[str, ...]:
    """The ids of the attempt's own invocations of dbt, in order."""
    own = {
        r.invocation_id: r.invocation_started_at or ""
        for r in nodes.values()
        if r.invocation_id and r.resumed_from is None
    }
    return tuple(sorted(own, key=lambda i: own[i]))
