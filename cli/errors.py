"""What a person reads when dbt-relay itself cannot go on, and its exit code then."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

import click

from ..records.display import displayed
from . import exit_codes
from .commands import OUTLINES, load
from .hints import usage_hint
from .output.masking import print_fault, secrets_in
from .output.notice import notice

if TYPE_CHECKING:
    from collections.abc import Sequence


def explain(error: Exception, words: Sequence[str]) -> int:
    """Print what is wrong after `dbt-relay WORDS` raised an error; returns the exit code.

    Bad usage ends with 64: click's own 2 would read as dbt's.
    """
    if not isinstance(error, click.ClickException):
        print_fault(error)
        click.echo("relay: this is a bug in dbt-relay: please report the traceback above", err=True)
        return exit_codes.INTERNAL
    _show(error)
    if not isinstance(error, click.UsageError):
        return error.exit_code
    meant = usage_hint(words, OUTLINES, load("run"))
    if meant is not None:
        notice(meant)
    return exit_codes.USAGE


def _show(error: click.ClickException) -> None:
    """Print click's message, which may quote what was typed or the value of a variable."""
    text = io.StringIO()
    error.show(text)
    shown = displayed(secrets_in(os.environ).mask_text(text.getvalue()))
    click.echo(shown, nl=False, err=True)
