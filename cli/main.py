"""The `dbt-relay` command group, and the console script that runs it.

Keep the imports here few: `dbt-relay --help` pays for each of them.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import threading
from typing import Final, NoReturn

import click

from .. import __version__
from .commands import OUTLINES, LazyGroup
from .output import streams

HELP = """Run dbt once; every node's result is in Airflow within seconds.

\b
Examples:
  dbt-relay run -- dbt build --select tag:daily
  dbt-relay run --sink jsonl:records.jsonl -- dbt run
  dbt-relay replay --sink jsonl:- logs/dbt.log
  dbt-relay show                       the nodes of the latest run
  dbt-relay report                     a page that draws the latest run
  dbt-relay stats                      what got slower, what is flaky
  dbt-relay deliver --all              records that could not be sent before
  dbt-relay wait --task-id dbt model.jaffle.orders
"""

_CLOSED_PIPE: Final = 141
"""The status in a shell of a program that SIGPIPE killed. 1 would read as dbt's."""
_SPEAKING: Final = ("deliver", "doctor", "replay", "run", "wait")
"""The commands that speak to Airflow."""


@click.group(
    cls=LazyGroup,
    commands=OUTLINES,
    help=HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(
    __version__, message=f"dbt-relay %(version)s (python {sys.version.split()[0]})"
)
@click.pass_context
def cli(context: click.Context) -> None:
    if "DBT_RELAY_AIRFLOW_CONN_ID" in os.environ and context.invoked_subcommand in _SPEAKING:
        from .airflow_connection import use_connection  # noqa: PLC0415 - few need it

        use_connection(os.environ)


def main() -> None:
    """The console script: run the command that was typed, and end with its exit code."""
    streams.make_safe()
    _print_unencodable_as_escapes()
    try:
        code = cli.main(prog_name="dbt-relay", standalone_mode=False)
    except (click.Abort, KeyboardInterrupt):
        code = 130
    except SystemExit:  # click's answer to a pipe that nobody reads on: `dbt-relay show | head`
        code = _CLOSED_PIPE
    except Exception as error:
        from .errors import explain  # noqa: PLC0415 - it needs much that `--help` does not

        code = explain(error, sys.argv[1:])
    _leave(code)


def _leave(code: int) -> NoReturn:
    """End the process with this code, even while a thread waits for a server.

    When Python shuts down, it ends such a thread in the middle of a C or Rust function. That may
    abort the process (Python 3.11 with pydantic-core: exit code 134 in place of dbt's).
    """
    if threading.active_count() > 1:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _print_unencodable_as_escapes() -> None:
    """Print characters that the terminal's encoding lacks as escapes, in place of an error.

    A name in a message must not decide how a task ends.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None if it was closed at the start
            stream.reconfigure(errors="backslashreplace")
