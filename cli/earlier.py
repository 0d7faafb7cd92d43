"""What is known of the attempt before this one: from the journal, or from XCom."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..parser import NodeRecord, RunRecord
from ..parser.exits import Exit
from ..sinks import history
from . import dbt
from .child import CannotStartError, Child
from .credentials import print_fault
from .resume import Earlier, Resumption, resume
from .selection import Listing
from .state import note

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..parser import Record
    from ..sinks import Journal, RunInfo
    from ..sinks.airflow import AirflowSettings
    from .signals import Signals


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
) -> Resumption:
    """How a run goes on after the attempts before it.

    StoppedError if the relay is told to stop while it finds out.
    """
    if info.attempt is None:
        return Resumption(command, (), "nothing to resume: --try-number says which try this is")
    if info.attempt == 1:
        return Resumption(command, (), None)
    try:
        return resume(
            command,
            _told(earlier(journal, info, airflow), command, info),
            attempt=info.attempt,
            target_dir=Path(info.target_dir or "target"),
            list_nodes=lambda argv: listing(argv, os.environ, signals),
        )
    except StoppedError:
        raise
    except Exception:  # dbt must run for all that
        print_fault()
        why = "everything runs: the above is a fault of dbt-relay, please report it"
        return Resumption(command, (), why)


def _told(found: Earlier | None, command: tuple[str, ...], info: RunInfo) -> Earlier | None:
    """The same attempt with the command as it is typed: what is kept of one has secrets masked."""
    if found is not None and found.command == info.command:
        return replace(found, command=command)
    return found


def earlier(journal: Journal, info: RunInfo, airflow: AirflowSettings | None) -> Earlier | None:
    """The latest earlier attempt of a task instance, None if nothing is known of one.

    In a new pod, with no journal of it, the XComs of another task than the one that Airflow has
    just cleared still have its records; `airflow` says where, if there is such a task.
    """
    past = history.earlier_attempt(journal, info)
    if past is not None:
        records = [*history.records(journal, past.id).values()]
        return _earlier(records, past.info.command, past.info.target_dir)
    if airflow is None:
        return None
    # Takes Airflow's client: a second, and only where there is nothing nearer.
    from ..sinks.airflow.reader import read_records  # noqa: PLC0415

    found = read_records(airflow)
    if not isinstance(found, dict):
        note(f"the records of an earlier attempt cannot be read: {found.reason}")
        return None
    older = [r for r in found.values() if r.attempt and r.attempt < (info.attempt or 0)]
    return _earlier(older, None, None)


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
        **dbt.without_own(environ),
        **{f"{p}{k}": v for p in dbt.PREFIXES for k, v in flags.items()},
    }


def _earlier(
    records: Sequence[Record], command: tuple[str, ...] | None, target_dir: str | None
) -> Earlier | None:
    nodes = {r.key: r for r in records if isinstance(r, NodeRecord)}
    run = next((r for r in records if isinstance(r, RunRecord)), None)
    if not nodes:
        return None
    if command is None:
        command = tuple(shlex.split(run.command or "")) if run is not None else ()
    has_ended = run is not None and run.state == "finished"
    return Earlier(
        attempt=max(r.attempt or 0 for r in nodes.values()),
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
