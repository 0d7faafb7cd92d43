"""dbt's flags as dbt itself finds them: command line, then environment, then dbt_project.yml."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from .variables import PREFIXES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_FLAGS: Final = re.compile(r"^flags:[^\n]*\n(?:[ \t#][^\n]*\n|\n)*", re.MULTILINE)
_SCALAR: Final = r"[ \t]*['\"]?([^'\"#\n]+)"
_TRUE: Final = frozenset({"1", "t", "true", "y", "yes", "on"})


class DbtFlags:
    """Looks up flags by their names in Python, such as `log_level`.

    `arguments` are the words after `dbt`, `project` is the text of dbt_project.yml.
    """

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str], project: str) -> None:
        self._arguments = arguments
        self._environ = environ
        self._project = project

    def value(self, name: str) -> str | None:
        """The value of a flag; None where nobody set it."""
        return _option(self._arguments, "--" + name.replace("_", "-")) or self._lasting(name)

    def word(self, name: str, default: str) -> str:
        """The value in small letters."""
        return (self.value(name) or default).lower()

    def switch(self, name: str) -> bool | None:
        """Whether a flag with a `--no-` form is on; None where nobody set it."""
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
        """The value that holds for every command here, from the environment or the project."""
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


def project_folder(arguments: Sequence[str], environ: Mapping[str, str], cwd: Path) -> Path:
    """The folder of the project that dbt works in: named, or the nearest one upwards."""
    given = DbtFlags(arguments, environ, "").value("project_dir")
    if given:
        return cwd / given
    folders = (cwd, *cwd.parents)
    return next((d for d in folders if (d / "dbt_project.yml").is_file()), cwd)


def _option(arguments: Sequence[str], option: str) -> str | None:
    """The value of the last `--option VALUE` or `--option=VALUE`."""
    found = None
    for at, word in enumerate(arguments):
        if word == option and at + 1 < len(arguments):
            found = arguments[at + 1]
        elif word.startswith(f"{option}="):
            found = word.partition("=")[2]
    return found
