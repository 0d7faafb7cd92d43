"""The user's dbt command line, made to log what the relay reads.

The user's `logs/dbt.log` stays as it would have been, and what the user said of the console
(`--quiet`, `--log-level`, colours) is kept for what the relay prints.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .arguments import MODULE, WITH_VALUE, position_of_dbt, unbundled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PREFIXES: Final = ("DBT_ENGINE_", "DBT_")
"""dbt 1.11 renamed its variables to `DBT_ENGINE_…`, and prefers those."""

OWN: Final = (
    "DBT_RELAY_AIRFLOW_TOKEN",
    "DBT_RELAY_AIRFLOW_TOKEN_COMMAND",
    "DBT_RELAY_AIRFLOW_TOKEN_FILE",
    "DBT_RELAY_AIRFLOW_USERNAME",
    "DBT_RELAY_AIRFLOW_PASSWORD",
    "DBT_RELAY_PROXY",
)
"""The relay's own way into Airflow."""

_VALUED: Final = ("--log-format", "--log-level")
_SWITCHES: Final = ("--quiet", "-q", "--no-quiet")
_FLAGS: Final = re.compile(r"^flags:[^\n]*\n(?:[ \t#][^\n]*\n|\n)*", re.MULTILINE)
_SCALAR: Final = r"[ \t]*['\"]?([^'\"#\n]+)"
_HEAD: Final = 2048
_TRUE: Final = frozenset({"1", "t", "true", "y", "yes", "on"})


@dataclass(frozen=True, slots=True)
class DbtCommand:
    """A command to start, and what its user wanted to see of it.

    `level`, `quiet` and `style` are its `--log-level`, `--quiet` and `--log-format`. `removed`
    are the user's own arguments that were taken out because dbt would not have logged what the
    relay needs.
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
    """The command to run for the user's `command` (dbt, or whatever ends in dbt)."""
    at = position_of_dbt(command)
    arguments = list(unbundled(command[at + 1 :])) if at is not None else []
    kept, removed = _without_console_flags(arguments)
    project_dir = _project_dir(arguments, environ, cwd)
    settings = _Settings(arguments, environ, _read(project_dir / "dbt_project.yml"))

    colours = settings.switch("use_colors")
    if colours is None:
        colours = "NO_COLOR" not in environ and (is_terminal or "FORCE_COLOR" in environ)
    flags = {"log_format": "json", "log_level": "debug", "quiet": "0"}
    # A console setting that was given also rules the log file unless the file has one of its own
    # (dbt-core `Flags._override_if_set`), so the file is told what it would have heard.
    for flag, usual in (("log_format", "default"), ("log_level", "debug")):
        if settings.value(f"{flag}_file") is None:
            flags[f"{flag}_file"] = settings.value(flag) or usual
    if not colours:
        # Colours are the default of dbt 1.x. dbt v2 warns of whoever asks for them.
        flags["use_colors"] = "0"
        if settings.switch("use_colors_file") is None and settings.switch("use_colors") is None:
            flags |= _coloured_file(command, at, environ)
    env = without_own(environ)
    for name, value in flags.items():
        for prefix in PREFIXES:
            env[prefix + name.upper()] = value

    argv = [*command[: at + 1], *kept] if at is not None else list(command)
    if at == 0:
        argv[1:1] = _log_options(flags, kept)
    profiles_dir = settings.value("profiles_dir")
    return DbtCommand(
        argv=tuple(argv),
        env=env,
        level="debug" if settings.switch("debug") else settings.word("log_level", "info"),
        quiet=settings.switch("quiet") or False,
        style=settings.word("log_format", "text"),
        colours=colours,
        removed=tuple(removed),
        project_dir=project_dir,
        target_dir=project_dir / (settings.value("target_path") or "target"),
        profiles_dir=cwd / profiles_dir if profiles_dir else None,
        is_wrapped=at != 0,
    )


def _log_options(flags: Mapping[str, str], given: Sequence[str]) -> list[str]:
    """The options that make dbt's log whole, where the user has not given them."""
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

    dbt v2 warns of it, so behind a wrapper, where dbt may be any, it is left out.
    """
    if at is None:
        return {}
    word = command[at]
    is_named = at == 0 or os.sep in word
    found = shutil.which(word, path=environ.get("PATH")) if is_named else None
    is_v1 = word == MODULE or (found is not None and _starts_v1(Path(found)))
    return {"use_colors_file": "1"} if is_v1 else {}


def _starts_v1(path: Path) -> bool:
    """Whether this is the script that installers write for dbt 1.x: dbt v2 is a native program."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    return head.startswith(b"#!") and MODULE.encode() in head


class _Settings:
    """dbt's own look-up: command line > environment > `flags:` of dbt_project.yml."""

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str], project: str) -> None:
        self._arguments = arguments
        self._environ = environ
        self._project = project

    def value(self, name: str) -> str | None:
        """A setting with a value."""
        return _option(self._arguments, "--" + name.replace("_", "-")) or self._lasting(name)

    def word(self, name: str, default: str) -> str:
        return (self.value(name) or default).lower()

    def switch(self, name: str) -> bool | None:
        """A flag with a `--no-` form; None where nobody set it."""
        option = name.replace("_", "-")
        short = {"quiet": "-q", "debug": "-d"}.get(name)
        for argument in reversed(self._arguments):
            if argument in (f"--{option}", short):
                return True
            if argument == f"--no-{option}":
                return False
        value = self._lasting(name)
        return None if value is None else value.lower() in _TRUE

    def _lasting(self, name: str) -> str | None:
        for prefix in PREFIXES:
            if value := self._environ.get(prefix + name.upper()):
                return value
        # `target-path:` or a line of `flags:`. A YAML reader would be one more dependency of every
        # worker, for these few scalars.
        flags = _FLAGS.search(self._project)
        keys = rf"^{name.replace('_', '-')}:{_SCALAR}", rf"^\s+{name}:{_SCALAR}"
        for key, text in zip(keys, (self._project, flags[0] if flags else ""), strict=True):
            if line := re.search(key, text, re.MULTILINE):
                return line[1].strip()
        return None


def _without_console_flags(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    kept: list[str] = []
    removed: list[str] = []
    words = iter(arguments)
    for word in words:
        name, _, value = word.partition("=")
        if name in _VALUED:
            value = value or next(words, "")
            if (name, value.lower()) not in (("--log-format", "json"), ("--log-level", "debug")):
                removed.append(f"{name} {value}")
        elif word in _SWITCHES:
            if word != "--no-quiet":
                removed.append(word)
        elif word in WITH_VALUE:
            kept += [word, *itertools.islice(words, 1)]
        else:
            kept.append(word)
    return kept, removed


def _option(arguments: Sequence[str], option: str) -> str | None:
    """The value of the last `--option VALUE` or `--option=VALUE`."""
    found = None
    for at, word in enumerate(arguments):
        if word == option and at + 1 < len(arguments):
            found = arguments[at + 1]
        elif word.startswith(f"{option}="):
            found = word.partition("=")[2]
    return found


def _project_dir(arguments: Sequence[str], environ: Mapping[str, str], cwd: Path) -> Path:
    given = _Settings(arguments, environ, "").value("project_dir")
    if given:
        return cwd / given
    homes = (cwd, *cwd.parents)
    return next((d for d in homes if (d / "dbt_project.yml").is_file()), cwd)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace") + "\n"
    except OSError:
        return ""


def without_own(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for what the relay starts: dbt has no use for the way into Airflow."""
    return {name: value for name, value in environ.items() if name not in OWN}


def secrets_of(environ: Mapping[str, str]) -> list[str]:
    """The values that dbt scrubs from its logs."""
    return [v for k, v in environ.items() if k.startswith("DBT_ENV_SECRET") and v.strip()]
