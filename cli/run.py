"""`dbt-relay run`: start dbt, relay its results, end as it ends."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from ..records.exits import Exit
from ..records.schema import RunRecord
from .dbt.arguments import asks_about_dbt
from .dbt.command import DbtCommand, prepare
from .hints import dbt_usage_hint, start_hint
from .options import CREDENTIALS, option, relay_options
from .output.console import Console
from .output.masking import MaskedStderr, secrets_in
from .output.notice import notice
from .process.child import CannotStartError, Child
from .process.signals import Signals
from .relay.deadline import Deadline
from .relay.destination import Destination
from .relay.renewal import renewing
from .relay.run_record import now
from .relay.session import RelayedRun
from .relay.state_folder import open_journal
from .resume.environment import environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..parser.secrets import Secrets
    from ..sinks import Journal
    from .resume.resumption import Resumption
    from .settings import RelaySettings


HELP: Final = """Run COMMAND, which is dbt or ends in dbt, and publish one record per node.

The output is what dbt itself would print. The exit code is dbt's.

\b
Examples:
  dbt-relay run -- dbt build --select tag:daily
  dbt-relay run --sink airflow --sink jsonl:records.jsonl -- dbt run
  dbt-relay run --resume -- dbt build   in a task with retries
  dbt-relay run -- uv run dbt build
  dbt-relay run -- ./nightly.sh         a script that ends in dbt
"""
NO_LOG: Final = (
    "no event of dbt's log came through, so there are no records. If the command runs dbt, it may "
    "set a --log-format or --quiet of its own, or hide dbt's output"
)
REMOVED: Final = (
    "is not passed on to dbt, whose full log is needed; what is printed here follows it all the "
    "same"
)
DBT_USAGE: Final = 2
"""How dbt ends that does not understand its command line."""


@click.command(
    context_settings={"allow_interspersed_args": False},
    help=HELP,
    epilog=CREDENTIALS,
)
@relay_options
@option(
    "--grace",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long dbt may cancel its queries when the relay is told to stop.",
)
@option(
    "--resume/--no-resume",
    default=False,
    help="On a task's second try and later: run what had not succeeded before, and publish the "
    "rest again.",
)
@option(
    "--note/--no-note",
    default=False,
    help="Write how the run went as the note of the task, which Airflow's grid shows. A person's "
    "note stays.",
)
@option(
    "--renew",
    metavar="TASK_ID",
    help="Run nodes again for this task of the same DAG run, which has ended: their records "
    "replace those of its newest try, its run record stays. For one node that failed.",
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(
    *,
    command: tuple[str, ...],
    settings: RelaySettings,
    grace: float,
    resume: bool,
    note: bool,
    renew: str | None,
) -> int:
    settings = replace(settings, writes_note=note)
    if renew:
        return run_again(command, settings, renew, grace=grace)
    return relay(command, settings, grace=grace, resumes=resume)


def run_again(
    command: Sequence[str], settings: RelaySettings, task_id: str, *, grace: float
) -> int:
    """Run the command and renew the records of a task that has ended; returns the exit code."""
    return relay(command, renewing(settings, task_id, os.environ), grace=grace, resumes=False)


def relay(command: Sequence[str], settings: RelaySettings, *, grace: float, resumes: bool) -> int:
    """Run the command and relay its results; returns the exit code."""
    destination = Destination.choose(settings, os.environ)
    for line in destination.remarks:
        notice(line)
    _let_go_of_stdin()
    secrets = secrets_in(os.environ, settings.airflow.connection.proxy)
    with (
        Signals() as signals,
        MaskedStderr(secrets) as errors,
        open_journal(settings.keeping, os.environ) as journal,
    ):
        start = _Start(tuple(command), destination, journal, secrets, signals)
        if resumes and (stopped := start.resume()) is not None:
            return stopped
        prepared = start.prepared
        if prepared.removed:
            notice(f"{', '.join(prepared.removed)} {REMOVED}")
        try:
            child = Child(
                prepared.argv,
                env=prepared.env,
                grace=grace,
                signals=signals,
                on_stderr=errors.write,
            )
        except CannotStartError as error:
            notice(f"{error}{start_hint(command)}")
            destination.close()
            return error.exit_code
        with child, start.relayed() as run_:
            for chunk in child.output():
                run_.feed(chunk)
                if run_.dbt_pid is not None:
                    child.dbt_is(run_.dbt_pid)
            errors.end()
            ended = replace(child.exit or Exit(code=0), stopped_by=child.stopped_by)
            deadline = Deadline.after(child, signals, settings.sending.flush_timeout)
            code = run_.end(ended, deadline)
            if not run_.has_events:
                _say_why_no_log(ended, prepared, command)
            return code


class _Start:
    """What is known before dbt starts: its command line, and what an earlier attempt leaves to do.

    `prepared` is the command line, `carried` are the records to publish again.
    """

    def __init__(
        self,
        command: tuple[str, ...],
        destination: Destination,
        journal: Journal,
        secrets: Secrets,
        signals: Signals,
    ) -> None:
        self._command = command
        self._destination = destination
        self._journal = journal
        self._secrets = secrets
        self._signals = signals
        self.prepared = _prepare(command)
        self._resumption: Resumption | None = None
        shown = secrets.mask_command(command)
        self._record = RunRecord(
            state="running",
            command=shlex.join(shown),
            started_at=now(),
            attempt=destination.settings.place.attempt,
            environment=_environment(command, self.prepared, destination),
        )
        self._info = destination.run_info(
            shown,
            self._record.started_at or "",
            self.prepared.target_dir,
            self.prepared.project_dir,
            self._record.environment,
        )

    def resume(self) -> int | None:
        """Leave out what an earlier attempt has done; returns an exit code if told to stop."""
        from .resume.previous import StoppedError, resumption_of  # noqa: PLC0415 - for --resume

        try:
            found = self._resumption = resumption_of(
                self._command,
                self._journal,
                self._info,
                airflow=self._destination.lasting_airflow,
                asked=self._destination.asked_airflow,
                signals=self._signals,
            )
        except StoppedError as error:
            notice("told to stop before dbt was started")
            return error.exit_code
        if found.remark is not None:
            notice(found.remark)
        self.prepared = _prepare(found.command)
        return None

    def relayed(self) -> RelayedRun:
        """The run, to be fed with what dbt prints."""
        carried = self._resumption.carried if self._resumption is not None else ()
        record = self._record
        if carried:
            record = replace(record, resumed_from=max(r.resumed_from or 0 for r in carried))
        console = Console(
            (sys.stderr if self._destination.owns_stdout else sys.stdout).buffer,
            level=self.prepared.level,
            quiet=self.prepared.quiet,
            style=self.prepared.style,
            colours=self.prepared.colours,
            secrets=self._secrets,
            marks_levels="DBT_RELAY_LOG_LEVELS" in os.environ,
        )
        return RelayedRun(
            self._destination,
            self._journal,
            console,
            record,
            self._info,
            secrets=self._secrets,
            target_dir=self.prepared.target_dir,
            carried=carried,
        )


def _environment(
    command: Sequence[str], prepared: DbtCommand, destination: Destination
) -> dict[str, str] | None:
    """What a later attempt of this task compares its own with; None where there can be none."""
    if destination.settings.place.attempt is None or not destination.in_airflow:
        return None
    return environment(command, prepared, os.environ, Path.cwd())


def _say_why_no_log(ended: Exit, prepared: DbtCommand, command: Sequence[str]) -> None:
    # A dbt that failed before its log began has said itself what is wrong.
    if (prepared.is_wrapped or ended.code == 0) and not asks_about_dbt(command):
        notice(NO_LOG)
    if ended.code == DBT_USAGE:
        meant = dbt_usage_hint(command, run)
        if meant is not None:
            notice(meant)


def _prepare(command: Sequence[str]) -> DbtCommand:
    return prepare(command, os.environ, is_terminal=sys.stdout.isatty(), cwd=Path.cwd())


def _let_go_of_stdin() -> None:
    """In an Airflow task standard input is the supervisor's socket, and who holds it open keeps
    the task `running` for a minute after its end (Airflow 3.3)."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
