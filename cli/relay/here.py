"""What this process gives to dbt and its output: environment, folder, streams, a pipe."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ..dbt.command import DbtCommand, prepare
from ..dbt.engine import starts_v2
from ..output.console import Console
from ..process.telemetry import CAN_NAME_PIPES, TelemetryPipe

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from ...parser.secrets import Secrets
    from ..output.screen import Screen


def telemetry_pipe(
    command: Sequence[str], state: Path | None
) -> AbstractContextManager[TelemetryPipe | None]:
    """The pipe for the telemetry of dbt v2. Any other dbt logs JSON, and v2 where no pipe can be
    made. `state` is the relay's state folder.
    """
    if CAN_NAME_PIPES and starts_v2(command, os.environ, state):
        with suppress(OSError):
            return TelemetryPipe()
    return nullcontext()


def prepared_here(command: Sequence[str], telemetry: TelemetryPipe | None) -> DbtCommand:
    """The command to start for the user's command in this environment and folder."""
    return prepare(
        command,
        os.environ,
        is_terminal=sys.stdout.isatty(),
        cwd=Path.cwd(),
        telemetry=telemetry.path if telemetry is not None else None,
    )


def console_on(out: BinaryIO | Screen, prepared: DbtCommand, secrets: Secrets) -> Console:
    """The console on a stream of this process, as the user wants to see dbt there."""
    return Console(
        out,
        level=prepared.level,
        quiet=prepared.quiet,
        style=prepared.style,
        colours=prepared.colours,
        secrets=secrets,
        marks_levels="DBT_RELAY_LOG_LEVELS" in os.environ,
    )


def let_go_of_stdin() -> None:
    """Close standard input. In an Airflow task it is the supervisor's socket: as long as a process
    holds it open, the task stays `running`, up to a minute (Airflow 3.3)."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
