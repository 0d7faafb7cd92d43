"""What the relay says to a person beside dbt's output."""

from __future__ import annotations

import os

import click

from ...records.display import displayed
from .masking import secrets_in


def notice(line: str) -> None:
    """Say something that is no result."""
    click.echo(f"relay: {displayed(secrets_in(os.environ).mask_text(line))}", err=True)
