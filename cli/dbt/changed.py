"""The user's dbt command, changed to run some of its nodes or to check its sources."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from ..settings import ConfigurationError
from .arguments import DbtArguments

if TYPE_CHECKING:
    from ..settings import RunSettings


def changed(command: tuple[str, ...], settings: RunSettings) -> tuple[str, ...]:
    """The command that `--only` and `--freshness` ask for. Raises ConfigurationError."""
    if not settings.only and not settings.freshness:
        return command
    parts = DbtArguments.of(command)
    if parts is None or not parts.subcommand:
        option = "--freshness" if settings.freshness else f"--only {' '.join(settings.only)}"
        raise ConfigurationError(
            f"{option}: {shlex.join(command)} is not one call of dbt, so it cannot be changed: "
            "write in the command what dbt shall run"
        )
    if settings.freshness:
        return parts.checking_sources(settings.only)
    return parts.selecting(settings.only)
