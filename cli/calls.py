"""The options on whom to call when a run is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from .options import option

if TYPE_CHECKING:
    from collections.abc import Sequence


class _Commands(click.types.StringParamType):
    """Commands of a shell. A variable has one a line, as a command has spaces."""

    def split_envvar_value(self, rv: str) -> Sequence[str]:
        return [line for line in rv.splitlines() if line.strip()]


CALLS: Final = (
    option(
        "--on-failure",
        type=_Commands(),
        multiple=True,
        metavar="COMMAND",
        help="When the run is over and its exit code is not 0, run COMMAND with 'sh -c'. It gets "
        "the run as JSON on standard input, DBT_RELAY_TITLE, DBT_RELAY_RUN and "
        "DBT_RELAY_EXIT_CODE as variables, and has 60 seconds. Repeatable.",
    ),
    option(
        "--on-end",
        type=_Commands(),
        multiple=True,
        metavar="COMMAND",
        help="Run COMMAND in the same way, however the run ended. Repeatable.",
    ),
)
