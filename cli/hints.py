"""Hints for a command line that dbt-relay or dbt does not understand: what to type instead."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .dbt.arguments import (
    GLOBAL,
    SUBCOMMANDS,
    WITH_VALUE,
    WITH_VALUES,
    asks_about_dbt,
    position_of_dbt,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    import click

    from ..records.exits import Exit

_NO_LOG: Final = (
    "no event of dbt's log came through, so there are no records. If the command runs dbt, it may "
    "set a --log-format or --quiet of its own, or hide dbt's output"
)
_DBT_USAGE: Final = 2
"""dbt's exit code for a command line that it does not understand."""
_AFTER_DBT: Final = "put dbt's options after dbt"
_PERHAPS_AFTER_DBT: Final = "if that is an option of dbt, put it after dbt"
_BEFORE_DASHES: Final = "put dbt-relay's options before `--`"
_AFTER_RUN: Final = "put the dbt command after `run --`"


def usage_hint(words: Sequence[str], names: Collection[str], run: click.Command) -> str | None:
    """What to type instead of `dbt-relay WORDS`, which click refused; None if that is not clear.

    `names` are the commands of dbt-relay, `run` is the command of that name.
    """
    words = words[1:] if words[:1] == ["--"] else words
    if not words:
        return None
    first = words[0]
    ours = _options(run)
    if first in names:
        return _of_run(words[1:], ours) if first == "run" else None
    if first in SUBCOMMANDS:
        return _advice(_AFTER_RUN, [], ["dbt", *words])
    if first.startswith("-"):
        if "run" in words and position_of_dbt(words) != words.index("run") - 1:
            at = words.index("run")
            return _of_run([*words[:at], *words[at + 1 :]], ours)
        if not SUBCOMMANDS.isdisjoint(words) and position_of_dbt(words) is None:
            return _advice(_AFTER_RUN, [], ["dbt", *words])
        return _of_run(words, ours) if position_of_dbt(words) is not None else None
    if position_of_dbt(words) is not None:
        return _advice(_AFTER_RUN, [], words)
    if Path(first).is_file():
        return f"to read a saved log: dbt-relay replay {shlex.join(words)}"
    return None


def no_log_hints(
    ended: Exit, command: Sequence[str], run: click.Command, *, is_wrapped: bool
) -> Iterator[str]:
    """Why no event of dbt's log came through. `is_wrapped` says that a program runs dbt."""
    # If dbt failed before its log began, it has printed why.
    if (is_wrapped or ended.code == 0) and not asks_about_dbt(command):
        yield _NO_LOG
    if ended.code == _DBT_USAGE and (meant := dbt_usage_hint(command, run)) is not None:
        yield meant


def dbt_usage_hint(command: Sequence[str], run: click.Command) -> str | None:
    """What to type instead of COMMAND, which dbt refused; None unless it has options of `run`."""
    at = position_of_dbt(command)
    if at is None:
        return None
    own, _, _ = _sorted(command[at + 1 :], _options(run), is_command_apart=True)
    kept = [*command[at + 1 :]]
    for word in own:
        kept.remove(word)
    return _advice(_BEFORE_DASHES, own, [*command[: at + 1], *kept]) if own else None


def start_hint(command: Sequence[str]) -> str:
    """A sentence for a command that could not be started, empty unless it may be one of dbt's."""
    if command[0] not in SUBCOMMANDS:
        return ""
    return " " + _advice("For dbt's own command, type", [], ["dbt", *command])


def _of_run(words: Sequence[str], ours: Mapping[str, bool]) -> str | None:
    """The hint for the words after `dbt-relay run`."""
    at = words.index("--") if "--" in words else None
    own, foreign, rest = _sorted(words[:at], ours, is_command_apart=at is not None)
    command = [*words[at + 1 :]] if at is not None else rest
    if not command and not foreign:
        return _advice("put the dbt command after `--`", own, ["dbt", "build"])
    if not foreign:
        return None
    if not command or command[0] in SUBCOMMANDS:
        command = ["dbt", *(command or ["run"])]
    names = {word.partition("=")[0].replace("--no-", "--", 1) for word in foreign if word[0] == "-"}
    is_known = names <= GLOBAL | WITH_VALUE | WITH_VALUES
    return _advice(_AFTER_DBT if is_known else _PERHAPS_AFTER_DBT, own, [*command, *foreign])


def _sorted(
    words: Sequence[str], ours: Mapping[str, bool], *, is_command_apart: bool
) -> tuple[list[str], list[str], list[str]]:
    """The options of `run`, the options of dbt, and the command, from the first other word on.

    `ours` says of each option of `run` whether it takes a value. With `is_command_apart` the words
    hold no command, and other words are dropped.
    """
    own: list[str] = []
    foreign: list[str] = []
    left = [*words]
    while left:
        name, is_joined, _ = left[0].partition("=")
        if not name.startswith("-"):
            if not is_command_apart:
                break
            left.pop(0)
            continue
        into, most = (own, int(ours[name])) if name in ours else (foreign, 0)
        if into is foreign and not is_joined:
            several = len(left) if is_command_apart else 1
            most = 1 if name in WITH_VALUE else several * (name in WITH_VALUES)
        into.append(left.pop(0))
        taken = int(bool(is_joined))
        while left and taken < most and (into is own or not left[0].startswith("-")):
            into.append(left.pop(0))
            taken += 1
    return own, foreign, left


def _advice(what: str, own: Sequence[str], command: Collection[str]) -> str:
    return f"{what}: {shlex.join(['dbt-relay', 'run', *own, '--', *command])}"


def _options(command: click.Command) -> dict[str, bool]:
    """The options of a command by name, with whether each takes a value."""
    return {
        name: not getattr(parameter, "is_flag", False)
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
        if name.startswith("-")
    }
