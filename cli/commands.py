"""The commands of `dbt-relay`, each imported when it is called.

`dbt-relay --help` imports none of them, and `dbt-relay run` not what only `doctor` needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

_COMMANDS: Final = {
    "deliver": (".deliver", "Send the records that wait."),
    "doctor": (".doctor", "Check that this machine can deliver."),
    "export": (".export", "Write the history as a table."),
    "replay": (".replay", "Relay the results in a saved log."),
    "report": (".report", "Write a report of a run."),
    "run": (".run", "Run dbt and relay its results."),
    "runs": (".runs", "List the latest runs."),
    "show": (".runs", "Show the nodes of a run."),
    "stats": (".stats", "Say what got slower, and what is flaky."),
    "wait": (".wait", "Wait for a node, and end as it did."),
}
"""The module that holds each command, and the command's line in the help of `dbt-relay`."""


OUTLINES: Final = {
    name: click.Command(name, short_help=line) for name, (_, line) in _COMMANDS.items()
}
"""Commands that have nothing but a name and that line."""


def load(name: str) -> click.Command:
    """The whole command of that name, with its options. Imports its module."""
    module, line = _COMMANDS[name]
    command: click.Command = getattr(import_module(module, __package__), name)
    command.short_help = line
    return command


class LazyGroup(click.Group):
    """A group whose `commands` are outlines: it loads the one that is called."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return load(cmd_name) if cmd_name in self.commands else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, self.commands[name].get_short_help_str()) for name in sorted(self.commands)]
            )
