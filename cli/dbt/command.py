"""The user's dbt command line, changed so that dbt logs what the relay reads.

dbt 1.x logs JSON to its standard output, and the relay prints what the user asked of the console
with `--quiet`, `--log-level` and colours. dbt v2 writes telemetry to a pipe, and prints by itself.
`logs/dbt.log` stays as the user wants it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .arguments import WITH_VALUE, position_of_dbt, unbundled
from .engine import starts_v1
from .flags import DbtFlags, project_folder
from .variables import PREFIXES, for_children

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_CONSOLE_OPTIONS: Final = ("--log-format", "--log-level")
_CONSOLE_SWITCHES: Final = ("--quiet", "-q", "--no-quiet")
_TELLING_LEVELS: Final = ("info", "debug", "trace")
"""Levels of the log file at which dbt v2 also writes its telemetry."""


@dataclass(frozen=True, slots=True)
class DbtCommand:
    """A command to start, and what its user wants to see of it.

    `level`, `quiet` and `style` are the user's `--log-level`, `--quiet` and `--log-format`.
    `removed` are the user's arguments that dbt does not get, because it would not log enough with
    them. `is_wrapped` says that the command is a program that runs dbt. `prints` says that dbt
    writes its telemetry apart from what it prints.
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
    prints: bool = False


def prepare(
    command: Sequence[str],
    environ: Mapping[str, str],
    *,
    is_terminal: bool,
    cwd: Path,
    telemetry: Path | None = None,
) -> DbtCommand:
    """The command to start in place of the user's `command`, which is dbt or ends in dbt.

    `telemetry` is a pipe for a dbt that is known to be v2. It stays unused if the user has given
    dbt another file for that, or lets dbt log too little to files.
    """
    at = position_of_dbt(command)
    arguments = list(unbundled(command[at + 1 :])) if at is not None else []
    kept, removed = _without_console_options(arguments)
    project_dir = project_folder(arguments, environ, cwd)
    wanted = DbtFlags(arguments, environ, _text(project_dir / "dbt_project.yml"))

    colours = wanted.switch("use_colors")
    if colours is None:
        colours = "NO_COLOR" not in environ and (is_terminal or "FORCE_COLOR" in environ)
    prints = telemetry is not None and _may_write_telemetry(wanted)
    if telemetry is not None and prints:
        argv, removed = list(command), []
        told = _to_write_telemetry(telemetry, environ, colours=colours and is_terminal)
    else:
        flags = _flags_to_set(wanted)
        if not colours:
            flags |= _without_colours(command, wanted, environ)
        argv = [*command[: at + 1], *kept] if at is not None else list(command)
        if at == 0:
            argv[1:1] = _options_to_add(flags, kept)
        told = {f"{prefix}{name.upper()}": v for name, v in flags.items() for prefix in PREFIXES}
    profiles_dir = wanted.value("profiles_dir")
    return DbtCommand(
        argv=tuple(argv),
        env={**for_children(environ), **told},
        level="debug" if wanted.switch("debug") else wanted.word("log_level", "info"),
        quiet=wanted.switch("quiet") or False,
        style=wanted.word("log_format", "text"),
        colours=colours,
        removed=tuple(removed),
        project_dir=project_dir,
        target_dir=project_dir / (wanted.value("target_path") or "target"),
        profiles_dir=cwd / profiles_dir if profiles_dir else None,
        is_wrapped=at != 0,
        prints=prints,
    )


def _may_write_telemetry(wanted: DbtFlags) -> bool:
    """Whether dbt v2 will write each node's end to the file that the relay names."""
    return (
        wanted.value("otel_file_name") is None
        and wanted.word("log_level_file", "debug") in _TELLING_LEVELS
    )


def _to_write_telemetry(pipe: Path, environ: Mapping[str, str], *, colours: bool) -> dict[str, str]:
    """Variables for dbt v2. It sees a pipe in place of the terminal for which `colours` are on."""
    told = {"DBT_OTEL_FILE_NAME": str(pipe)}
    if colours:
        told["CLICOLOR_FORCE"] = environ.get("CLICOLOR_FORCE", "1")
    return told


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


def _without_colours(
    command: Sequence[str], wanted: DbtFlags, environ: Mapping[str, str]
) -> dict[str, str]:
    """The flags for a console without colours. dbt 1.x prints colours by default.

    The colours of `logs/dbt.log` stay. dbt v2 warns of their flag, so it is set for a dbt that is
    known to be 1.x. Behind a wrapper dbt may be of any version.
    """
    flags = {"use_colors": "0"}
    is_open = wanted.switch("use_colors_file") is None and wanted.switch("use_colors") is None
    if is_open and starts_v1(command, environ):
        flags["use_colors_file"] = "1"
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
