"""What is known of the attempt before this one: from the journal, or from XCom."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...records import NodeRecord, RunRecord
from ...records.exits import Exit
from ...records.values import number, text
from ...sinks import Hold, Retry
from ...sinks.journal import history
from ..dbt.variables import PREFIXES, without_airflow_access
from ..output.masking import print_fault
from ..output.notice import notice
from ..process.child import CannotStartError, Child
from .attempts import ElsewhereError, attempt_before, check_try, environment_differs
from .remaining import CannotResumeError, Listing
from .resumption import Earlier, Resumption, resume

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ...records import Record
    from ...sinks import Journal, RunInfo
    from ...sinks.airflow import AirflowSettings
    from ...sinks.airflow.attempts import Attempt
    from ..process.signals import Signals


class StoppedError(Exception):
    """The relay was told to stop; `exit_code` is that of what it had started."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


def resumption_of(
    command: tuple[str, ...],
    journal: Journal,
    info: RunInfo,
    *,
    airflow: AirflowSettings | None,
    signals: Signals,
    asked: AirflowSettings | None = None,
) -> Resumption:
    """How a run goes on after the attempts before it.

    `airflow` has the records where there is no journal of them, `asked` knows the tries. Raises
    StoppedError if the relay is told to stop while it finds out.
    """
    if info.attempt is None:
        return Resumption(command, (), "nothing to resume: --try-number says which try this is")
    if info.attempt == 1:
        return Resumption(command, (), None)
    try:
        return resume(
            command,
            _told(earlier(journal, info, airflow, asked), command, info),
            attempt=info.attempt,
            target_dir=Path(info.target_dir or "target"),
            list_nodes=lambda argv: listing(argv, os.environ, signals),
        )
    except StoppedError:
        raise
    except CannotResumeError as reason:
        return Resumption(command, (), f"everything runs: {reason}")
    except Exception as error:  # dbt must run for all that
        print_fault(error)
        why = "everything runs: please report the traceback above, a bug in dbt-relay"
        return Resumption(command, (), why)


def _told(found: Earlier | None, command: tuple[str, ...], info: RunInfo) -> Earlier | None:
    """The same attempt with the command as it is typed: what is kept of one has secrets masked."""
    if found is not None and found.command == info.command:
        return replace(found, command=command)
    return found


def earlier(
    journal: Journal,
    info: RunInfo,
    airflow: AirflowSettings | None,
    asked: AirflowSettings | None = None,
) -> Earlier | None:
    """The attempt before this one of a task instance, None if nothing is known of one.

    In a new pod, with no journal of it, the XComs of another task than the one that Airflow has
    just cleared still have its records; `airflow` says where, if there is such a task. Raises
    CannotResumeError where what is known is not beyond doubt.
    """
    known = history.attempts(journal, info)
    tries = _Tries(asked or airflow)
    doubt: CannotResumeError | None = None
    if any((run.attempt or 0) < (info.attempt or 0) for _, run in known):
        try:
            past = attempt_before(info, known, tries.told())
            if past is not None:
                return _from_journal(journal, *past)
        except ElsewhereError as error:
            doubt = error
    found = None if airflow is None else _from_xcom(info, airflow, tries)
    if found is None and doubt is not None:
        raise doubt
    return found


class _Tries:
    """What Airflow says of the tries of this task; asked once, and only if that matters."""

    def __init__(self, settings: AirflowSettings | None) -> None:
        self._settings = settings
        self._told: list[Attempt] | None = None
        self._is_told = settings is None

    def told(self) -> list[Attempt] | None:
        """The tries, None where there is no Airflow to be asked: then what is known here decides.
        CannotResumeError if it does not answer, or not to this: the task may be mapped, say."""
        if self._is_told or self._settings is None:
            return self._told
        # Takes Airflow's client: a second.
        from ...sinks.airflow.attempts import Untold, read_attempts  # noqa: PLC0415

        found = read_attempts(self._settings)
        if isinstance(found, (Retry, Hold)):
            raise CannotResumeError(f"Airflow does not tell which try this is: {found.reason}")
        self._is_told = True
        self._told = None if isinstance(found, Untold) else found
        return self._told


def _from_journal(journal: Journal, run_number: int, run: RunInfo) -> Earlier:
    records = [*history.records(journal, run_number).values()]
    return _earlier(run.attempt or 0, records, run.command, run.target_dir)


def _from_xcom(info: RunInfo, airflow: AirflowSettings, tries: _Tries) -> Earlier | None:
    """The attempt before this one, as its records in XCom have it."""
    from ...sinks.airflow.reading import read_records  # noqa: PLC0415 - takes Airflow's client

    found = read_records(airflow)
    if not isinstance(found, dict):
        notice(f"the records of an earlier attempt cannot be read: {found.reason}")
        return None
    attempt = (info.attempt or 0) - 1
    older = [r for r in found.values() if (number(r.attempt) or attempt + 1) <= attempt]
    if not older:
        return None
    own = [r for r in older if r.attempt == attempt]
    run = next((r for r in own if isinstance(r, RunRecord)), None)
    if run is None:
        newest = max(r.attempt or 0 for r in older)
        raise CannotResumeError(
            f"XCom has no record of the run of attempt {attempt}: what it has is of attempt "
            f"{newest}, or of nodes that were run again"
        )
    told = tries.told()
    if told is not None:
        check_try(attempt, text(run.started_at) or "", told)
    if differs := environment_differs(info.environment, run.environment):
        raise CannotResumeError(f"attempt {attempt} cannot be continued: {differs}")
    return _earlier(attempt, _of_run(run, own), tuple(shlex.split(text(run.command) or "")), None)


def _of_run(run: RunRecord, records: Sequence[Record]) -> list[Record]:
    """The run's record, and those of its nodes. Others were run again, for a task that waited."""
    nodes = [r for r in records if isinstance(r, NodeRecord) and not r.renewed]
    own = {r.invocation_id for r in nodes if r.resumed_from is None}
    if run.invocation_id is not None or len(own) > 1:
        own = {run.invocation_id}
    return [run, *(r for r in nodes if r.resumed_from is not None or r.invocation_id in own)]


def listing(argv: tuple[str, ...], environ: Mapping[str, str], signals: Signals) -> Listing:
    """What `dbt ls` prints, with dbt supervised as it is for the run itself.

    StoppedError if the relay is told to stop meanwhile.
    """
    said: list[bytes] = []
    try:
        child = Child(argv, env=_quiet(environ), signals=signals, on_stderr=said.append)
    except CannotStartError as error:
        return Listing("", str(error))
    with child:
        output = b"".join(child.output()).decode("utf-8", "replace")
        how = child.exit or Exit(code=0)
        if child.stopped_by is not None:
            raise StoppedError(how.status)
    if how.status == 0:
        return Listing(output)
    lines = (output + b"".join(said).decode("utf-8", "replace")).split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return Listing("", f"it {how.describe()}: {last}" if last else f"it {how.describe()}")


def _quiet(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for a command whose output is nothing but its answer."""
    flags = {"QUIET": "1", "LOG_FORMAT": "text", "LOG_LEVEL": "info", "LOG_LEVEL_FILE": "error"}
    flags["WRITE_JSON"] = "0"  # the manifest of the earlier attempt stays as it is
    return {
        **without_airflow_access(environ),
        **{f"{p}{k}": v for p in PREFIXES for k, v in flags.items()},
    }


def _earlier(
    attempt: int, records: Sequence[Record], command: tuple[str, ...], target_dir: str | None
) -> Earlier:
    nodes = {r.key: r for r in records if isinstance(r, NodeRecord)}
    run = next((r for r in records if isinstance(r, RunRecord)), None)
    if not nodes:
        raise CannotResumeError(f"nothing had run in attempt {attempt}")
    has_ended = run is not None and run.state == "finished"
    return Earlier(
        attempt=attempt,
        command=command,
        exit_code=run.exit_code if run is not None and has_ended else None,
        invocation_ids=_invocations(nodes),
        target_dir=Path(target_dir) if target_dir else None,
        records=nodes,
    )


def _invocations(nodes: Mapping[str, NodeRecord]) -> tuple[str, ...]:
    """Those of the attempt itself, in order."""
    own = {
        r.invocation_id: r.invocation_started_at or ""
        for r in nodes.values()
        if r.invocation_id and r.resumed_from is None
    }
    return tuple(sorted(own, key=lambda i: own[i]))
