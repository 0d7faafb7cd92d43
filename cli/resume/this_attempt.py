"""What this attempt of a task runs, by all that is known of the attempts before it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..output.masking import print_fault
from ..process.child import StoppedError
from .listing import run_ls
from .previous import previous_attempt
from .remaining import CannotResumeError
from .resumption import Resumption, resume

if TYPE_CHECKING:
    from ...sinks import Journal, RunInfo
    from ...sinks.airflow import AirflowSettings
    from ...sinks.channel import Channel
    from ..process.signals import Signals


def resumption_of(
    command: tuple[str, ...],
    journal: Journal,
    info: RunInfo,
    *,
    lasting_airflow: AirflowSettings | None,
    known_airflow: AirflowSettings | None = None,
    channel: Channel | None = None,
    signals: Signals,
) -> Resumption:
    """The resumption of this attempt; `info` is its run, not yet in the journal.

    `lasting_airflow` has the records where the journal has none, `known_airflow` knows the tries.
    `channel` leads to the operator that started this process.
    Raises StoppedError if the relay is told to stop meanwhile. No other trouble keeps dbt from
    running: then everything runs.
    """
    if info.attempt is None:
        remark = "nothing to resume: --try-number says which try this is"
        return Resumption(command, (), remark)
    if info.attempt == 1:
        return Resumption(command, (), None)
    try:
        previous = previous_attempt(journal, info, lasting_airflow, known_airflow, channel)
        if previous is not None and previous.command == info.command:
            # Records and journal have the command with its secrets masked.
            previous = replace(previous, command=command)
        return resume(
            command,
            previous,
            attempt=info.attempt,
            target_dir=Path(info.target_dir or "target"),
            run_ls=lambda argv: run_ls(argv, os.environ, signals),
        )
    except StoppedError:
        raise
    except CannotResumeError as reason:
        return Resumption(command, (), f"everything runs: {reason}")
    except Exception as error:
        print_fault(error)
        remark = "everything runs: please report the traceback above, a bug in dbt-relay"
        return Resumption(command, (), remark)
