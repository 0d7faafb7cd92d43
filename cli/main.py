"""The `dbt-relay` command group, and what its exit codes mean."""

from __future__ import annotations

import contextlib
import io
import os
import platform
import sys
import threading
from typing import NoReturn

import click

from .. import __version__
from ..records.display import displayed
from . import exit_codes
from .deliver import deliver
from .doctor import doctor
from .hints import hint
from .output import streams
from .output.masking import print_fault, secrets_in
from .output.notice import notice
from .replay import replay
from .run import run
from .runs import runs, show
from .wait import wait

HELP = """Run dbt once; every node's result is in Airflow the moment it is known.

\b
Examples:
  dbt-relay run -- dbt build --select tag:daily
  dbt-relay run --sink jsonl:records.jsonl -- dbt run
  dbt-relay replay --sink jsonl:- logs/dbt.log
  dbt-relay show                       the nodes of the latest run
  dbt-relay deliver --all              what could not be sent before
  dbt-relay wait --task-id dbt model.jaffle.orders
"""


@click.group(
    help=HELP,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(
    __version__,
    message=f"dbt-relay %(version)s (python {platform.python_version()})",
)
def cli() -> None:
    pass


cli.add_command(run)
cli.add_command(replay)
cli.add_command(runs)
cli.add_command(show)
cli.add_command(deliver)
cli.add_command(doctor)
cli.add_command(wait)


def main() -> None:
    """The console script. Bad usage ends with 64: click's own 2 would read as dbt's."""
    streams.take_over()
    _print_anything()
    try:
        code = cli.main(prog_name="dbt-relay", standalone_mode=False)
    except click.UsageError as error:
        _show(error)
        meant = hint(sys.argv[1:], cli.commands)
        if meant is not None:
            notice(meant)
        code = exit_codes.USAGE
    except click.ClickException as error:
        _show(error)
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = 130
    except Exception:
        print_fault()
        click.echo("relay: this is a fault of dbt-relay: please report it with the above", err=True)
        code = exit_codes.INTERNAL
    _leave(code)


def _show(error: click.ClickException) -> None:
    """Its message quotes what was typed, or what is in a variable."""
    text = io.StringIO()
    error.show(text)
    shown = displayed(secrets_in(os.environ).mask_text(text.getvalue()))
    click.echo(shown, nl=False, err=True)


def _leave(code: int) -> NoReturn:
    """End with this code, whatever a thread is at that still waits for a server.

    An interpreter that shuts down ends such a thread in the middle of a C or Rust function, which
    may abort the process (Python 3.11 with pydantic-core: exit code 134 in place of dbt's).
    """
    if threading.active_count() > 1:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _print_anything() -> None:
    """A name or a message that the terminal's encoding lacks is shown as escapes: what is printed
    must not decide how a task ends."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None where it was closed at the start
            stream.reconfigure(errors="backslashreplace")
