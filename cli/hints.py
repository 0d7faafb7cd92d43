"""What was meant by a command line that the relay does not understand."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .dbt.arguments import GLOBAL, SUBCOMMANDS, WITH_VALUE, WITH_VALUES, position_of_dbt

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import click

_BEHIND: Final = "an option of dbt goes behind it"
_PERHAPS: Final = "if that is an option of dbt, it goes behind it"
_BEFORE: Final = "an option of dbt-relay goes before `--`"


def hint(words: Sequence[str], names: Collection[str], run: click.Command) -> str | None:
    """What to type instead of `dbt-relay WORDS`, which click refused; None if that is not clear.

    `names` are the names of the relay's commands, `run` is one of these.
    """
    words = words[1:] if words[:1] == ["--"] else words
    if not words:
        return None
    first = words[0]
    ours = _options(run)
    if first in names:
        return _of_run(words[1:], ours) if first == "run" else None
    if first in SUBCOMMANDS:
        return _said("a command of dbt follows `run --`", [], ["dbt", *words])
    if first.startswith("-"):
        if "run" in words and position_of_dbt(words) != words.index("run") - 1:
            at = words.index("run")
            return _of_run([*words[:at], *words[at + 1 :]], ours)
        if not SUBCOMMANDS.isdisjoint(words) and position_of_dbt(words) is None:
            return _said("a command of dbt follows `run --`", [], ["dbt", *words])
        return _of_run(words, ours) if position_of_dbt(words) is not None else None
    if position_of_dbt(words) is not None:
        return _said("a command that runs dbt follows `run --`", [], words)
    if Path(first).is_file():
        return f"a saved log is read by: dbt-relay replay {shlex.join(words)}"
    return None


def hint_behind(command: Sequence[str], run: click.Command) -> str | None:
    """The same for options of the relay that were given to dbt, which does not know them."""
    at = position_of_dbt(command)
    if at is None:
        return None
    own, _, _ = _sorted(command[at + 1 :], _options(run), is_command_apart=True)
    kept = [*command[at + 1 :]]
    for word in own:
        kept.remove(word)
    return _said(_BEFORE, own, [*command[: at + 1], *kept]) if own else None


def hint_of_start(command: Sequence[str]) -> str:
    """What to add where the command could not be started; empty if nothing."""
    if command[0] not in SUBCOMMANDS:
        return ""
    return f" If it is a command of dbt: {shlex.join(['dbt-relay', 'run', '--', 'dbt', *command])}"


def _of_run(words: Sequence[str], ours: Mapping[str, bool]) -> str | None:
    at = words.index("--") if "--" in words else None
    own, foreign, rest = _sorted(words[:at], ours, is_command_apart=at is not None)
    command = [*words[at + 1 :]] if at is not None else rest
    if not command and not foreign:
        return _said("the command that runs dbt follows `--`", own, ["dbt", "build"])
    if not foreign:
        return None
    if not command or command[0] in SUBCOMMANDS:
        command = ["dbt", *(command or ["run"])]
    names = {word.partition("=")[0].replace("--no-", "--", 1) for word in foreign if word[0] == "-"}
    is_known = names <= GLOBAL | WITH_VALUE | WITH_VALUES
    return _said(_BEHIND if is_known else _PERHAPS, own, [*command, *foreign])


def _sorted(
    words: Sequence[str], ours: Mapping[str, bool], *, is_command_apart: bool
) -> tuple[list[str], list[str], list[str]]:
    """The relay's options, those of dbt, and the command that begins at the first other word."""
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


def _said(what: str, own: Sequence[str], command: Collection[str]) -> str:
    return f"{what}: {shlex.join(['dbt-relay', 'run', *own, '--', *command])}"


def _options(command: click.Command) -> dict[str, bool]:
    """The names of a command's options, and whether each takes a value."""
    return {
        name: not getattr(parameter, "is_flag", False)
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
        if name.startswith("-")
    }
