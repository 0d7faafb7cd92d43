"""Digests of the environment that dbt runs in: a later attempt goes on only in the same one."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..dbt.arguments import position_of_dbt
from ..dbt.variables import PREFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ..dbt.command import DbtCommand

PARTS: Final = {
    "command": "a secret in the command",
    "dbt": "dbt itself",
    "project": "the project's folder",
    "files": "profiles.yml, dbt_project.yml or the packages",
    "variables": "an environment variable of dbt or of the project",
}
"""The parts of an environment, with words for a part that differs."""

_WITHOUT_EFFECT: Final = frozenset(
    {
        # How dbt logs, and what it reports home.
        "DEBUG", "LOG_CACHE_EVENTS", "LOG_FILE_MAX_BYTES", "LOG_FORMAT", "LOG_FORMAT_FILE",
        "LOG_LEVEL", "LOG_LEVEL_FILE", "LOG_PATH", "PRINT", "PRINTER_WIDTH", "QUIET",
        "RECORD_TIMING_INFO", "SHOW_ALL_DEPRECATIONS", "USE_COLORS", "USE_COLORS_FILE",
        "INVOCATION_ENV", "NO_PRINT", "SEND_ANONYMOUS_USAGE_STATS", "VERSION_CHECK",
        # How it parses, and where it leaves its artifacts.
        "CACHE_SELECTED_ONLY", "PARTIAL_PARSE", "PARTIAL_PARSE_FILE_PATH", "POPULATE_CACHE",
        "SINGLE_THREADED", "STATIC_PARSER", "TARGET_PATH", "USE_EXPERIMENTAL_PARSER",
        "WRITE_JSON",
        # The digest of `files` and of `project` covers what they name.
        "PROFILES_DIR", "PROJECT_DIR",
    }
)  # fmt: skip
"""dbt's variables that change nothing in what dbt builds."""

_NOT_OF_DBT: Final = ("DBT_RELAY_", "DBT_ENV_CUSTOM_ENV_")
_OF_ADAPTERS: Final = (
    "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_REGION", "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_CLOUD_PROJECT", "PGDATABASE", "PGHOST", "PGPORT", "PGSERVICE", "PGUSER",
)  # fmt: skip
_OF_AIRFLOW: Final = ("AIRFLOW_HOME", "AIRFLOW__CORE__EXECUTION_API_SERVER_URL")
"""They tell one Airflow from another where no address is configured."""

_OF_EACH_TRY: Final = frozenset({"AIRFLOW_CTX_TRY_NUMBER"})
# In YAML the quotes may be escaped, or doubled.
_NAMED: Final = re.compile(rb"""env_var\s*\(\s*(?:var\s*=\s*)?(''|\\?["'])([^'"\\]+)\1""")
_PACKAGES: Final = "lib/python*/site-packages/dbt*.dist-info"
_FILES: Final = (
    "dbt_project.yml", "packages.yml", "dependencies.yml", "package-lock.yml", "vars.yml", ".env",
)  # fmt: skip
_CODE: Final = frozenset({".sql", ".yml", ".yaml", ".py", ".jinja"})
_NO_CODE: Final = frozenset({"logs", "node_modules", "target", "__pycache__"})
_MOST_FILES: Final = 100_000
_LONGEST_FILE: Final = 1 << 20


def environment_digests(
    command: Sequence[str], prepared: DbtCommand, environ: Mapping[str, str], cwd: Path
) -> dict[str, str] | None:
    """A digest for each of PARTS, which shows no value; None if the project has too many files.

    The variables that count are dbt's own, those of its adapters, and those that a file of the
    project names in `env_var('…')`.
    """
    profiles = _profiles(prepared, cwd, Path(environ.get("HOME", "/")))
    files = [profiles, *(prepared.project_dir / name for name in _FILES), cwd / ".env"]
    texts = [_text(path) for path in files]
    named = set(_named_in(texts))
    if texts[1] is not None:
        for number, path in enumerate(_code(prepared)):
            if number == _MOST_FILES:
                return None
            named.update(_named_in([_text(path)]))
    return {
        # The journal compares the command too, but with its secrets masked.
        "command": _digest(command),
        "dbt": _digest(_dbt(command, environ)),
        "project": _digest([os.path.realpath(prepared.project_dir)]),
        "files": _digest(repr(text) for text in texts),
        "variables": _digest(_variables(environ, named)),
    }


def differences(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """The parts in which two environments differ, in words."""
    return [words for part, words in PARTS.items() if one.get(part) != other.get(part)]


def _variables(environ: Mapping[str, str], named: set[str]) -> list[str]:
    counted = {*named, *_OF_ADAPTERS, *_OF_AIRFLOW, *filter(_is_dbts, environ)} - _OF_EACH_TRY
    return [f"{name}={environ[name]}" for name in sorted(counted) if name in environ]


def _is_dbts(name: str) -> bool:
    prefix = next((p for p in PREFIXES if name.startswith(p)), None)
    if prefix is None or name.startswith(_NOT_OF_DBT):
        return False
    return name.removeprefix(prefix) not in _WITHOUT_EFFECT


def _dbt(command: Sequence[str], environ: Mapping[str, str]) -> Iterator[str]:
    """The programs of the command, and the versions of dbt's packages beside them."""
    at = position_of_dbt(command)
    for word in dict.fromkeys([command[0], command[at or 0]]):
        found = shutil.which(word, path=environ.get("PATH"))
        if found is None:
            yield word
            continue
        # In a virtual environment Python is a link to a Python without dbt: look at both places.
        places = dict.fromkeys([Path(found).absolute(), Path(os.path.realpath(found))])
        for place in places:
            yield str(place)
            yield from sorted(p.name for p in place.parent.parent.glob(_PACKAGES))


def _profiles(prepared: DbtCommand, cwd: Path, home: Path) -> Path:
    """The profiles.yml that dbt will read."""
    if prepared.profiles_dir is not None:
        return prepared.profiles_dir / "profiles.yml"
    folders = (cwd, prepared.project_dir)
    found = (f / "profiles.yml" for f in folders if (f / "profiles.yml").is_file())
    return next(found, home / ".dbt" / "profiles.yml")


def _code(prepared: DbtCommand) -> Iterator[Path]:
    """The files of the project and its packages that may hold Jinja."""
    target = os.path.abspath(prepared.target_dir)
    seen: set[str] = set()
    # dbt follows links, too: `dbt deps` links to a local package. A link may lead back up.
    for folder, folders, files in os.walk(prepared.project_dir, followlinks=True):
        place = os.path.realpath(folder)
        if place in seen:
            folders.clear()
            continue
        seen.add(place)
        folders[:] = (
            []
            if "pyvenv.cfg" in files
            else [
                name
                for name in folders
                if not name.startswith(".")
                and name not in _NO_CODE
                and os.path.join(os.path.abspath(folder), name) != target
            ]
        )
        yield from (Path(folder, name) for name in files if os.path.splitext(name)[1] in _CODE)


def _named_in(texts: Iterable[bytes | None]) -> Iterator[str]:
    for text in texts:
        for found in _NAMED.finditer(text or b""):
            yield os.fsdecode(found[2])


def _text(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST_FILE)
    except OSError:
        return None


def _digest(texts: Iterable[str]) -> str:
    whole = hashlib.sha256()
    for text in texts:
        piece = text.encode("utf-8", "surrogateescape")
        whole.update(b"%d:" % len(piece) + piece)
    return whole.hexdigest()
