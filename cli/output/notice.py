"""The relay's own messages to a person, on standard error."""

from __future__ import annotations

import os

import click

from ...records.display import displayed
from .masking import secrets_in


def notice(line: str) -> None:
    """Print one message that is no result, with secrets masked."""
    click.echo(f"relay: {displayed(secrets_in(os.environ).mask_text(line))}", err=True)
