"""`dbt-relay run`: start dbt, relay its results, end as it ends."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ..records.exits import Exit
from .calls import CALLS
from .dbt.changed import changed
from .hints import no_log_hints, start_hint
from .options import (
    CREDENTIALS,
    PROGRESS,
    RELAY_OPTIONS,
    REPORT,
    option,
    relay_settings,
    with_settings,
)
from .output.dbt_output import DbtOutput
from .output.masking import MaskedStream, secrets_in
from .output.notice import notice
from .process.child import CannotStartError, Child, StoppedError
from .process.signals import Signals
from .relay.deadline import Deadline
from .relay.destination import Destination
from .relay.here import let_go_of_stdin, prepared_here, telemetry_pipe
from .relay.renewal import renewing
from .relay.run_record import now
from .relay.session import RelayedRun
from .relay.state_folder import open_journal, state_dir
from .relay.watch import watch_over
from .resume.environment import environment_digests
from .settings import RunSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..parser.secrets import Secrets
    from ..records.schema import NodeRecord
    from ..sinks import Journal, RunInfo
    from .dbt.command import DbtCommand
    from .process.telemetry import TelemetryPipe
    from .relay.watch import Watch
    from .resume.resumption import Resumption

HELP: Final = """Run COMMAND, which is dbt or ends in dbt, and publish one record per node.

Prints what dbt itself would print, and ends with dbt's exit code.

\b
Examples:
  dbt-relay run -- dbt build --select tag:daily
  dbt-relay run --sink airflow --sink jsonl:records.jsonl -- dbt run
  dbt-relay run --resume -- dbt build   in a task with retries
  dbt-relay run -- uv run dbt build
  dbt-relay run -- ./nightly.sh         a script that ends in dbt
"""
REMOVED: Final = (
    "is not passed to dbt, because dbt-relay needs dbt's full log. The output on this screen still "
    "obeys the option"
)


def _settings(given: Mapping[str, Any]) -> RunSettings:
    return RunSettings(
        relay_settings(given),
        grace=given["grace"],
        resumes=given["resume"],
        renewed_task_id=given["renew"],
        only=tuple(term for terms in given["only"] for term in terms.split()),
        freshness=given["freshness"],
        progress=given["progress"],
    )


@click.command(
    context_settings={"allow_interspersed_args": False},
    help=HELP,
    epilog=CREDENTIALS,
)
@with_settings(
    _settings,
    *RELAY_OPTIONS,
    option(
        "--grace",
        type=click.FloatRange(min=0),
        default=10.0,
        show_default=True,
        metavar="SECONDS",
        help="How long dbt has to cancel its queries after a stop signal.",
    ),
    option(
        "--resume/--no-resume",
        default=False,
        help="From a task's second try on: run only the nodes that had not succeeded, and publish "
        "the records of the other nodes again.",
    ),
    option(
        "--note/--no-note",
        default=False,
        help="Write counts and failures as the note of the task. Airflow's grid shows it. Text "
        "written by a person is kept.",
    ),
    option(
        "--renew",
        metavar="TASK_ID",
        help="Run nodes again for this task of the same DAG run, which has ended. Their records "
        "replace the records of its newest try. The record of the run stays. Use it to rerun one "
        "failed node.",
    ),
    option(
        "--only",
        multiple=True,
        metavar="NODES",
        help="Run only these nodes of the command, in place of its --select, --exclude and "
        "--selector. Takes what --select takes.",
    ),
    PROGRESS,
    option(
        "--freshness/--no-freshness",
        default=False,
        help="Run 'dbt source freshness' with the command's project, profile, target and "
        "variables, for all sources or those of --only.",
    ),
    REPORT,
    *CALLS,
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(settings: RunSettings, command: tuple[str, ...]) -> int:
    return run_dbt(command, settings)


def settings_of_variables(command: Sequence[str]) -> RunSettings:
    """What variables alone tell `run` about a command. Raises click.UsageError."""
    with run.make_context("dbt-relay run", ["--", *command]) as context:
        return _settings(context.params)


def run_dbt(command: tuple[str, ...], settings: RunSettings) -> int:
    """Run the command and relay its results; the relay's exit code.

    Raises ConfigurationError for settings that cannot work.
    """
    settings = renewing(settings, os.environ)
    command = changed(command, settings)
    destination = Destination.choose(settings.relay, os.environ)
    for remark in destination.remarks:
        notice(remark)
    let_go_of_stdin()
    secrets = secrets_in(os.environ, settings.relay.airflow.connection.proxy)
    with (
        Signals() as signals,
        MaskedStream(secrets) as errors,
        open_journal(settings.relay.keeping, os.environ) as journal,
        telemetry_pipe(command, state_dir(settings.relay.keeping, os.environ)) as telemetry,
    ):
        prepared = prepared_here(command, telemetry)
        info = _info(command, prepared, destination, secrets)
        carried: tuple[NodeRecord, ...] = ()
        try:
            if settings.resumes:
                resumption = _resumption(command, info, destination, journal, signals)
                carried = resumption.carried
                prepared = prepared_here(resumption.command, telemetry)
            watch = watch_over(settings, prepared, destination, secrets)
            printed = DbtOutput(watch.console, secrets) if prepared.prints else None
            child = _start(
                prepared, settings.grace, signals, errors, printed=printed, telemetry=telemetry
            )
        except (StoppedError, CannotStartError) as error:
            hint = start_hint(command) if isinstance(error, CannotStartError) else ""
            notice(f"{error}{hint}")
            destination.close()
            return error.exit_code
        with (
            child,
            _relayed(
                destination, journal, watch, info, secrets=secrets, dbt=prepared, carried=carried
            ) as relayed,
            watch.showing(journal, info, relayed.backlogs),
        ):
            ended = _relay_output(child, relayed, printed, errors)
            if not relayed.has_events:
                for line in no_log_hints(ended, command, run, is_wrapped=prepared.is_wrapped):
                    notice(line)
            flush_timeout = settings.relay.sending.flush_timeout
            return relayed.end(Deadline.after(child, signals, flush_timeout))


def _info(
    command: Sequence[str], prepared: DbtCommand, destination: Destination, secrets: Secrets
) -> RunInfo:
    """The journal's description of the run. Secrets in the command are masked."""
    # A later attempt compares its environment with this one; outside Airflow there is none.
    is_attempt = destination.settings.place.attempt is not None and destination.in_airflow
    return destination.run_info(
        secrets.mask_command(command),
        now(),
        prepared.target_dir,
        prepared.project_dir,
        environment_digests(command, prepared, os.environ, Path.cwd()) if is_attempt else None,
    )


def _resumption(
    command: tuple[str, ...],
    info: RunInfo,
    destination: Destination,
    journal: Journal,
    signals: Signals,
) -> Resumption:
    from .resume.this_attempt import resumption_of  # noqa: PLC0415 - only for --resume

    resumption = resumption_of(
        command,
        journal,
        info,
        lasting_airflow=destination.lasting_airflow,
        known_airflow=destination.known_airflow,
        channel=destination.channel,
        signals=signals,
    )
    if resumption.remark is not None:
        notice(resumption.remark)
    return resumption


def _start(
    prepared: DbtCommand,
    grace: float,
    signals: Signals,
    errors: MaskedStream,
    *,
    printed: DbtOutput | None,
    telemetry: TelemetryPipe | None,
) -> Child:
    if prepared.removed:
        notice(f"{', '.join(prepared.removed)} {REMOVED}")
    return Child(
        prepared.argv,
        env=prepared.env,
        grace=grace,
        signals=signals,
        on_stderr=errors.write,
        on_stdout=printed.write if printed is not None else None,
        telemetry=telemetry if printed is not None else None,
    )


def _relayed(
    destination: Destination,
    journal: Journal,
    watch: Watch,
    info: RunInfo,
    *,
    secrets: Secrets,
    dbt: DbtCommand,
    carried: Sequence[NodeRecord],
) -> RelayedRun:
    return RelayedRun(
        destination,
        journal,
        watch.console,
        info,
        secrets=secrets,
        target_dir=dbt.target_dir,
        carried=carried,
        is_printed=dbt.prints,
        progress=watch.progress,
    )


def _relay_output(
    child: Child, relayed: RelayedRun, *outputs: DbtOutput | MaskedStream | None
) -> Exit:
    """Relay dbt's log to its end, and then end what dbt prints; how dbt ended."""
    for chunk in child.output():
        if child.stopped_at is not None:
            relayed.stopped(time.monotonic() - child.stopped_at)
        relayed.feed(chunk)
        if relayed.dbt_pid is not None:
            child.dbt_is(relayed.dbt_pid)
    for output in filter(None, outputs):
        output.end()
    ended = replace(child.exit or Exit(code=0), stopped_by=child.stopped_by)
    relayed.log_ended(ended)
    return ended
