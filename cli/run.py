"""`dbt-relay run`: start dbt, relay its results, end as it ends."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ..records.exits import Exit
from ..records.schema import RunRecord
from .dbt.arguments import asks_about_dbt
from .dbt.command import DbtCommand, prepare
from .hints import hint_behind, hint_of_start
from .options import CREDENTIALS, delivery_options, option
from .output.console import Console
from .output.masking import MaskedErrors, secrets_in
from .output.notice import note
from .process.child import CannotStartError, Child
from .process.signals import Signals
from .relay.deadline import Deadline
from .relay.destination import Destination
from .relay.pipeline import Relay
from .relay.recording import Recording
from .relay.renewal import renewing
from .relay.session import announce, end, now
from .relay.state_folder import open_journal
from .resume.environment import environment
from .resume.previous import StoppedError, resumption_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..records.schema import NodeRecord

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
    short_help="Run dbt and relay its results.",
)
@delivery_options
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
def run(command: tuple[str, ...], grace: float, **options: Any) -> int:
    options = renewing(options, os.environ)
    destination = Destination.choose(options, os.environ)
    for line in destination.notes:
        note(line)
    _let_go_of_stdin()
    secrets = secrets_in(os.environ, options)
    with (
        Signals() as signals,
        MaskedErrors(secrets) as errors,
        open_journal(options, os.environ) as journal,
    ):
        prepared = _prepare(command)
        shown = secrets.mask_command(command)
        surroundings = _environment(command, prepared, destination)
        started = RunRecord(
            state="running",
            command=shlex.join(shown),
            started_at=now(),
            attempt=destination.attempt,
            environment=surroundings,
        )
        info = destination.run_info(
            shown,
            started.started_at or "",
            prepared.target_dir,
            prepared.project_dir,
            surroundings,
        )
        carried: tuple[NodeRecord, ...] = ()
        if options["resume"]:
            try:
                resumption = resumption_of(
                    command,
                    journal,
                    info,
                    airflow=destination.lasting_airflow,
                    asked=destination.asked_airflow,
                    signals=signals,
                )
            except StoppedError as error:
                note("told to stop before dbt was started")
                return error.exit_code
            if resumption.note is not None:
                note(resumption.note)
            carried, prepared = resumption.carried, _prepare(resumption.command)
        if prepared.removed:
            note(f"{', '.join(prepared.removed)} {REMOVED}")
        console = Console(
            (sys.stderr if destination.owns_stdout else sys.stdout).buffer,
            level=prepared.level,
            quiet=prepared.quiet,
            style=prepared.style,
            colours=prepared.colours,
            secrets=secrets,
        )
        try:
            child = Child(
                prepared.argv,
                env=prepared.env,
                grace=grace,
                signals=signals,
                on_stderr=errors.write,
            )
        except CannotStartError as error:
            note(f"{error}{hint_of_start(command)}")
            return error.exit_code
        if carried:
            started = replace(started, resumed_from=max(r.resumed_from or 0 for r in carried))
        recording = Recording(
            lambda: destination.open(journal.begin(info)), started, close=destination.close
        )
        with child, recording:
            relay = Relay(
                console,
                recording.put,
                begin=recording.begin,
                secrets=secrets,
                target_dir=prepared.target_dir,
                attempt=destination.attempt,
                since=max((r.invocation_started_at or "" for r in carried), default=None),
                with_tests=destination.is_watched,
                renews=destination.renews,
            )
            for record in carried:
                recording.put(record)
            _feed(relay, child, recording, is_watched=destination.is_watched)
            errors.end()
            ended = replace(child.exit or Exit(code=0), stopped_by=child.stopped_by)
            relay.end(ended)
            if ended.status != 0:
                # Who waits for a node has to learn that dbt failed before it said a word.
                recording.begin()
            _say_if_no_log(relay, ended, prepared, command)
            return end(
                relay=relay,
                console=console,
                destination=destination,
                journal=journal,
                recording=recording,
                ended=ended,
                deadline=Deadline.after(child, signals, destination.flush_timeout),
                options=options,
            )


def _feed(relay: Relay, child: Child, recording: Recording, *, is_watched: bool) -> None:
    """Feed the relay what dbt prints, to its end."""
    for chunk in child.output():
        relay.feed(chunk)
        if relay.dbt_pid is not None:
            child.dbt_is(relay.dbt_pid)
        if recording.delivery is not None and relay.artifacts_dir is not None:
            recording.delivery.run.set_target_dir(str(relay.artifacts_dir))
        if is_watched and recording.started.adapter is None and relay.run.adapter:
            recording.restart(announce(recording.started, relay.run))


def _environment(
    command: Sequence[str], prepared: DbtCommand, destination: Destination
) -> dict[str, str] | None:
    """What a later attempt of this task compares its own with; None where there can be none."""
    if destination.attempt is None or not destination.in_airflow:
        return None
    return environment(command, prepared, os.environ, Path.cwd())


def _say_if_no_log(relay: Relay, ended: Exit, prepared: DbtCommand, command: Sequence[str]) -> None:
    # A dbt that failed before its log began has said itself what is wrong.
    is_silent = not relay.run.invocations and (prepared.is_wrapped or ended.code == 0)
    if is_silent and not asks_about_dbt(command):
        note(NO_LOG)
    if ended.code == DBT_USAGE and not relay.run.invocations:
        meant = hint_behind(command, run)
        if meant is not None:
            note(meant)


def _prepare(command: Sequence[str]) -> DbtCommand:
    return prepare(command, os.environ, is_terminal=sys.stdout.isatty(), cwd=Path.cwd())


def _let_go_of_stdin() -> None:
    """In an Airflow task standard input is the supervisor's socket, and who holds it open keeps
    the task `running` for a minute after its end (Airflow 3.3)."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
