"""The user's dbt command line, changed so that dbt logs what the relay reads.

`logs/dbt.log` stays as the user wants it. The relay prints what the user asked of the console with
`--quiet`, `--log-level` and colours.
"""

from __future__ import annotations

import itertools
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .arguments import MODULE, WITH_VALUE, position_of_dbt, unbundled
from .flags import DbtFlags, project_folder
from .variables import PREFIXES, without_airflow_access

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CONSOLE_OPTIONS: Final = ("--log-format", "--log-level")
_CONSOLE_SWITCHES: Final = ("--quiet", "-q", "--no-quiet")
_HEAD: Final = 2048
"""Bytes of a program that tell whether it is a script."""


@dataclass(frozen=True, slots=True)
class DbtCommand:
    """A command to start, and what its user wants to see of it.

    `level`, `quiet` and `style` are the user's `--log-level`, `--quiet` and `--log-format`.
    `removed` are the user's arguments that dbt does not get, because it would not log enough with
    them. `is_wrapped` says that the command is a program that runs dbt.
    """

    argv: tuple[str, ...]
    env: dict[str, str]
    level: str
    quiet: bool
    style: str
    colours: bool
    removed: tuple[str, ...]
    project_dir: Path
    target_dir: Path
    profiles_dir: Path | None
    is_wrapped: bool


def prepare(
    command: Sequence[str], environ: Mapping[str, str], *, is_terminal: bool, cwd: Path
) -> DbtCommand:
    """The command to start in place of the user's `command`, which is dbt or ends in dbt."""
    at = position_of_dbt(command)
    arguments = list(unbundled(command[at + 1 :])) if at is not None else []
    kept, removed = _without_console_options(arguments)
    project_dir = project_folder(arguments, environ, cwd)
    wanted = DbtFlags(arguments, environ, _text(project_dir / "dbt_project.yml"))

    colours = wanted.switch("use_colors")
    if colours is None:
        colours = "NO_COLOR" not in environ and (is_terminal or "FORCE_COLOR" in environ)
    flags = _flags_to_set(wanted)
    if not colours:
        # dbt 1.x prints colours by default. dbt v2 warns of this flag where it is on.
        flags["use_colors"] = "0"
        if wanted.switch("use_colors_file") is None and wanted.switch("use_colors") is None:
            flags |= _coloured_file(command, at, environ)
    env = without_airflow_access(environ)
    env |= {prefix + name.upper(): value for name, value in flags.items() for prefix in PREFIXES}

    argv = [*command[: at + 1], *kept] if at is not None else list(command)
    if at == 0:
        argv[1:1] = _options_to_add(flags, kept)
    profiles_dir = wanted.value("profiles_dir")
    return DbtCommand(
        argv=tuple(argv),
        env=env,
        level="debug" if wanted.switch("debug") else wanted.word("log_level", "info"),
        quiet=wanted.switch("quiet") or False,
        style=wanted.word("log_format", "text"),
        colours=colours,
        removed=tuple(removed),
        project_dir=project_dir,
        target_dir=project_dir / (wanted.value("target_path") or "target"),
        profiles_dir=cwd / profiles_dir if profiles_dir else None,
        is_wrapped=at != 0,
    )


def _flags_to_set(wanted: DbtFlags) -> dict[str, str]:
    """The flags that make dbt log everything as JSON, and keep its log file as the user wants it.

    A flag for the console also rules the log file, unless the file has a flag of its own (dbt-core
    `Flags._override_if_set`). So the file's flag is set to what the user's console flag implies.
    """
    flags = {"log_format": "json", "log_level": "debug", "quiet": "0"}
    for flag, usual in (("log_format", "default"), ("log_level", "debug")):
        if wanted.value(f"{flag}_file") is None:
            flags[f"{flag}_file"] = wanted.value(flag) or usual
    return flags


def _options_to_add(flags: Mapping[str, str], given: Sequence[str]) -> list[str]:
    """The same flags as options, for a command that is dbt itself; the user's own options win."""
    names = {argument.partition("=")[0] for argument in given}
    options = ["--log-format", "json", "--log-level", "debug", "--no-quiet"]
    for name in ("log_format_file", "log_level_file"):
        option = "--" + name.replace("_", "-")
        if name in flags and option not in names:
            options += [option, flags[name]]
    return options


def _coloured_file(
    command: Sequence[str], at: int | None, environ: Mapping[str, str]
) -> dict[str, str]:
    """The flag that keeps the colours of `logs/dbt.log`, for a dbt that is known to be 1.x.

    dbt v2 warns of the flag. Behind a wrapper dbt may be of any version, so the flag is left out.
    """
    if at is None:
        return {}
    word = command[at]
    is_named = at == 0 or os.sep in word
    found = shutil.which(word, path=environ.get("PATH")) if is_named else None
    is_v1 = word == MODULE or (found is not None and _is_script_of_v1(Path(found)))
    return {"use_colors_file": "1"} if is_v1 else {}


def _is_script_of_v1(path: Path) -> bool:
    """Whether this is the script that installers write for dbt 1.x: dbt v2 is a native program."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    return head.startswith(b"#!") and MODULE.encode() in head


def _without_console_options(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments that dbt gets, and those that it does not."""
    kept: list[str] = []
    removed: list[str] = []
    words = iter(arguments)
    for word in words:
        name, _, value = word.partition("=")
        if name in _CONSOLE_OPTIONS:
            value = value or next(words, "")
            if (name, value.lower()) not in (("--log-format", "json"), ("--log-level", "debug")):
                removed.append(f"{name} {value}")
        elif word in _CONSOLE_SWITCHES:
            if word != "--no-quiet":
                removed.append(word)
        elif word in WITH_VALUE:
            kept += [word, *itertools.islice(words, 1)]
        else:
            kept.append(word)
    return kept, removed


def _text(path: Path) -> str:
    """The text of a file, empty if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace") + "\n"
    except OSError:
        return ""
